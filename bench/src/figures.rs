//! Numbers of several rounds and what they come to.

use serde::Serialize;

/// Any error of a benchmark: it ends the run.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Latencies of one round in milliseconds.
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Latency {
    pub(crate) fn of(mut millis: Vec<f64>) -> Self {
        millis.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let index = ((millis.len() as f64 * share) as usize).min(millis.len().saturating_sub(1));
            millis.get(index).copied().unwrap_or(f64::NAN)
        };
        Self { p50: at(0.5), p99: at(0.99) }
    }
}

/// One workload over all rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) ceiling: Vec<f64>,
    pub(crate) spool: Vec<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ceiling_p99: Vec<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) spool_p99: Vec<f64>,
}

impl Series {
    pub(crate) const fn new(name: &'static str, unit: &'static str) -> Self {
        Self {
            name,
            unit,
            ceiling: Vec::new(),
            spool: Vec::new(),
            ceiling_p99: Vec::new(),
            spool_p99: Vec::new(),
        }
    }

    pub(crate) fn ceiling(&mut self, figure: f64) {
        self.ceiling.push(figure);
    }

    pub(crate) fn spool(&mut self, figure: f64) {
        self.spool.push(figure);
    }

    pub(crate) fn ceiling_tail(&mut self, figure: f64) {
        self.ceiling_p99.push(figure);
    }

    pub(crate) fn spool_tail(&mut self, figure: f64) {
        self.spool_p99.push(figure);
    }

    /// Spool's median by the ceiling's.
    pub(crate) fn ratio(&self) -> f64 {
        median(&self.spool) / median(&self.ceiling)
    }
}

pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

pub(crate) fn range(figures: &[f64]) -> (f64, f64) {
    figures
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &figure| (low.min(figure), high.max(figure)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ranges() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[1.0, 2.0]) - 1.5).abs() < f64::EPSILON);
        assert!(median(&[]).is_nan());
        assert_eq!(range(&[2.0, 1.0, 3.0]), (1.0, 3.0));
    }

    #[test]
    fn percentiles() {
        let latency = Latency::of((1..=100).map(f64::from).collect());
        assert_eq!((latency.p50, latency.p99), (51.0, 100.0));
    }
}
