//! The metrics recorder of this process: installed once, rendered by whatever serves `/metrics`.
//!
//! The exporter's own HTTP listener is not used: the API and the worker have one. Upkeep runs in a task of ours,
//! because histograms keep every observation until somebody drains them.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

use crate::build;
use crate::declared::{By, DEFAULT_SECONDS_BUCKETS, Declared, Kind};
use crate::names;
use crate::vocabulary;

/// How often observations are folded into buckets.
const UPKEEP_PERIOD: Duration = Duration::from_secs(5);

static INSTALLED: OnceLock<Metrics> = OnceLock::new();

/// The handle to this process' metrics. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    process: Collector,
}

impl Metrics {
    /// Everything in Prometheus' text format, process metrics read now.
    pub fn render(&self) -> String {
        self.process.collect();
        self.handle.render()
    }
}

/// Installs the recorder, declares every metric of the [`vocabulary`] and sets the known series of this program to zero.
///
/// Call it inside the tokio runtime, before anything emits. A second call gives the same handle.
pub fn install(program: By) -> Metrics {
    INSTALLED.get_or_init(|| first_install(program)).clone()
}

/// Sets one more counter series to zero, for label values that only the program knows (its models, its routes).
pub fn register_zero(name: &'static str, labels: &[(&'static str, String)]) {
    metrics::counter!(name, labels).increment(0);
}

fn first_install(program: By) -> Metrics {
    let recorder = with_buckets(PrometheusBuilder::new()).build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("another metrics recorder is installed: /metrics of this process stays empty");
    }
    let upkeep = handle.clone();
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(UPKEEP_PERIOD);
        loop {
            tick.tick().await;
            upkeep.run_upkeep();
        }
    });
    let process = Collector::default();
    process.describe();
    for metric in vocabulary::all() {
        declare(metric, program);
    }
    metrics::gauge!(names::BUILD_INFO, "version" => build::VERSION, "revision" => build::REVISION).set(1.0);
    Metrics { handle, process }
}

fn with_buckets(mut builder: PrometheusBuilder) -> PrometheusBuilder {
    let declared = vocabulary::all().filter_map(|metric| match metric.kind {
        Kind::Histogram(bounds) => Some((Matcher::Full(metric.name.to_owned()), bounds)),
        Kind::Counter | Kind::Gauge => None,
    });
    let rest = [(Matcher::Suffix("_seconds".to_owned()), DEFAULT_SECONDS_BUCKETS)];
    for (matcher, bounds) in declared.chain(rest) {
        builder = builder
            .set_buckets_for_metric(matcher, bounds)
            .expect("invariant: no declared list of buckets is empty");
    }
    builder
}

fn declare(metric: &Declared, program: By) {
    match metric.kind {
        Kind::Counter => metrics::describe_counter!(metric.name, metric.unit, metric.meaning),
        Kind::Gauge => metrics::describe_gauge!(metric.name, metric.unit, metric.meaning),
        Kind::Histogram(_) => metrics::describe_histogram!(metric.name, metric.unit, metric.meaning),
    }
    if metric.kind == Kind::Counter && [program, By::Programs].contains(&metric.by) {
        for series in known_series(metric) {
            register_zero(metric.name, &series);
        }
    }
}

/// Every combination of the label values that are known; none when one of the labels is open.
fn known_series(metric: &Declared) -> Vec<Vec<(&'static str, String)>> {
    let mut all = vec![Vec::new()];
    for label in metric.labels {
        all = all
            .into_iter()
            .flat_map(|series| {
                label.values.iter().map(move |value| {
                    let mut longer = series.clone();
                    longer.push((label.name, (*value).to_owned()));
                    longer
                })
            })
            .collect();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn known_series_stand_at_zero_and_histograms_have_buckets() {
        let metrics = install(By::Worker);
        let text = metrics.render();
        for kind in ["reserved", "settled", "released"] {
            assert!(text.contains(&format!("spool_money_micros_total{{kind=\"{kind}\"}} 0")), "{text}");
        }
        assert!(text.contains("spool_build_info{version="), "{text}");
        assert!(text.contains("process_resident_memory_bytes"), "{text}");
        metrics::histogram!(names::FFMPEG_SECONDS, "operation" => "probe").record(0.2);
        metrics::histogram!("spool_queue_some_seconds").record(0.2);
        let text = metrics.render();
        assert!(text.contains("spool_ffmpeg_seconds_bucket{operation=\"probe\",le=\"0.25\"} 1"), "{text}");
        assert!(text.contains("spool_queue_some_seconds_bucket{le=\"0.25\"} 1"), "{text}");
    }
}
