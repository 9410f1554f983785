//! A recorder that remembers: what the metrics say, to be compared with what the database says.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

/// Install it with `metrics::set_default_local_recorder`: it hears everything on this thread, where tests run.
#[derive(Clone, Default)]
pub(crate) struct Counts(Arc<Mutex<HashMap<Key, Arc<Count>>>>);

#[derive(Default)]
struct Count(AtomicU64);

impl CounterFn for Count {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::SeqCst);
    }

    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::SeqCst);
    }
}

/// Of a histogram the number of values is counted.
impl HistogramFn for Count {
    fn record(&self, _: f64) {
        self.increment(1);
    }
}

impl Counts {
    /// Of all series of a metric that have this label.
    pub(crate) fn with(&self, name: &str, label: &str, value: &str) -> i64 {
        self.sum(|key| key.name() == name && key.labels().any(|l| (l.key(), l.value()) == (label, value)))
    }

    /// Of all series of a metric.
    pub(crate) fn all(&self, name: &str) -> i64 {
        self.sum(|key| key.name() == name)
    }

    fn sum(&self, is: impl Fn(&Key) -> bool) -> i64 {
        let counts = self.0.lock().unwrap();
        counts.iter().filter(|(key, _)| is(key)).map(|(_, count)| count.0.load(Ordering::SeqCst) as i64).sum()
    }

    fn of(&self, key: &Key) -> Arc<Count> {
        Arc::clone(self.0.lock().unwrap().entry(key.clone()).or_default())
    }
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.of(key))
    }
}
