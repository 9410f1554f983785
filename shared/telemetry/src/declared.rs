//! What a declaration of a metric says: kind, unit, meaning, labels, and who shows it.

use metrics::Unit;

/// What a metric is to Prometheus.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of observations per bucket; the upper bounds are in the metric's unit.
    Histogram(&'static [f64]),
}

impl Kind {
    /// The word for it in Prometheus' text format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// One label and the values it can take; empty where only the program knows them.
#[derive(Debug, Clone, Copy)]
pub struct Label {
    /// Name of the label.
    pub name: &'static str,
    /// Its closed set of values, if it is known here.
    pub values: &'static [&'static str],
}

/// Who shows a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Each API process, of itself.
    Api,
    /// Each worker, of itself.
    Worker,
    /// Both, of themselves.
    Programs,
    /// The database: worked out once for the fleet, and shown by each API process alike, so queries take the greatest of them.
    Database,
}

impl By {
    /// For people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "API",
            Self::Worker => "worker",
            Self::Programs => "API, worker",
            Self::Database => "database",
        }
    }
}

/// One metric as it is declared.
#[derive(Debug, Clone, Copy)]
pub struct Declared {
    /// Name as Prometheus sees it.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// What it counts in.
    pub unit: Unit,
    /// Who shows it.
    pub by: By,
    /// One line for the reader of a dashboard.
    pub meaning: &'static str,
    /// Its labels, in the order they are written.
    pub labels: &'static [Label],
}

/// Upper bounds for answers of an API.
pub(crate) const REQUEST_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Upper bounds for work that renders, downloads or encodes.
pub(crate) const WORK_BUCKETS: &[f64] =
    &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];
/// Upper bounds for whole jobs and predictions. 240 is an objective: alerts look for that bucket.
pub(crate) const LONG_BUCKETS: &[f64] =
    &[2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 180.0, 240.0, 300.0, 420.0, 600.0, 900.0, 1800.0, 3600.0];
/// Upper bounds for any other `_seconds` histogram, the queue's among them: from one claim to a long wait.
pub(crate) const DEFAULT_SECONDS_BUCKETS: &[f64] =
    &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];

/// A label whose values only the program knows.
pub(crate) const fn open(name: &'static str) -> Label {
    Label { name, values: &[] }
}

/// A label with these values and no other.
pub(crate) const fn of(name: &'static str, values: &'static [&'static str]) -> Label {
    Label { name, values }
}

/// A counter without unit.
pub(crate) const fn counter(
    name: &'static str,
    by: By,
    labels: &'static [Label],
    meaning: &'static str,
) -> Declared {
    Declared { name, kind: Kind::Counter, unit: Unit::Count, by, meaning, labels }
}

/// A gauge without unit.
pub(crate) const fn gauge(
    name: &'static str,
    by: By,
    labels: &'static [Label],
    meaning: &'static str,
) -> Declared {
    Declared { name, kind: Kind::Gauge, unit: Unit::Count, by, meaning, labels }
}

/// A histogram of seconds.
pub(crate) const fn seconds(
    name: &'static str,
    by: By,
    labels: &'static [Label],
    buckets: &'static [f64],
    meaning: &'static str,
) -> Declared {
    Declared { name, kind: Kind::Histogram(buckets), unit: Unit::Seconds, by, meaning, labels }
}

impl Declared {
    /// The same in another unit.
    pub(crate) const fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }
}
