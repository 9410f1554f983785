//! What a worker of ours tells while it works, by the same crate: metrics, and a line for each attempt. The handler does nothing but tell, as
//! `worker/src/attempt.rs` does around each step; whether anybody listens is what is measured.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use spool_queue::{Done, Failure, Handler, Run};
use spool_telemetry::{
    logging::{self, Kept, LogFormat, milliseconds},
    metrics, redact,
    traces::{self, Kind, Past, TraceArgs, Traces},
};
use tracing::{Instrument, Span, field::Empty};

use crate::figures::BoxError;

/// Who listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Telemetry {
    /// Nobody: no recorder, no subscriber.
    Off,
    /// The recorder, read once a second, fifteen times as often as Prometheus asks.
    Metrics,
    /// That, and JSON lines at the level info on standard error.
    Both,
    /// All that, and the spans of an attempt. No collector takes them: it is what making them costs.
    Traces,
}

/// Where nobody listens.
const NO_COLLECTOR: &str = "http://127.0.0.1:9";
/// The span of a request, as the tasks of a job carry it.
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

impl Telemetry {
    pub(crate) const ALL: [Self; 4] = [Self::Off, Self::Metrics, Self::Both, Self::Traces];

    /// As the command line takes it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Metrics => "metrics",
            Self::Both => "both",
            Self::Traces => "traces",
        }
    }

    /// What it returns is to be held as long as lines are written.
    ///
    /// # Errors
    /// When traces cannot be made.
    pub(super) fn install(self) -> Result<Option<Kept>, BoxError> {
        if self == Self::Off {
            return Ok(None);
        }
        let installed = metrics::install(spool_telemetry::declared::By::Worker);
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_secs(1));
            loop {
                tick.tick().await;
                std::hint::black_box(installed.render());
            }
        });
        Ok(match self {
            Self::Off | Self::Metrics => None,
            Self::Both => Some(logging::init(LogFormat::Json, &Traces::off())),
            Self::Traces => {
                rustls::crypto::ring::default_provider().install_default().ok();
                let nowhere = TraceArgs { otlp_endpoint: Some(NO_COLLECTOR.to_owned()) };
                Some(logging::init(LogFormat::Json, &Traces::start(&nowhere, "spool-bench")?))
            }
        })
    }
}

/// Tells how its runs end, with the words of a worker.
pub(super) struct Told(pub(super) Arc<AtomicUsize>);

impl Handler for Told {
    const KIND: &'static str = "noop";
    const QUEUE: &'static str = "main";
    const TIMEOUT: Duration = Duration::from_secs(30);
    type Payload = super::spool::Payload;

    async fn run(&self, payload: super::spool::Payload, run: Run) -> Result<Done, Failure> {
        let begin = Instant::now();
        let span = tracing::error_span!(
            "attempt",
            job_id = payload.job,
            task_id = run.task_id().0,
            kind = Self::KIND,
            attempt = run.attempt(),
            request_id = payload.scene.as_str(),
            trace_id = Empty,
            otel.name = Empty,
            otel.kind = Empty
        );
        traces::open(&span, Kind::Consumer, Self::KIND, Some(PARENT));
        let whole = async {
            self.0.fetch_add(1, Ordering::Relaxed);
            let duration_ms = milliseconds(begin.elapsed());
            let queue_wait_ms = milliseconds(run.waited());
            tracing::info!(outcome = "succeeded", duration_ms, queue_wait_ms, "attempt");
            if traces::is_on() {
                traces::note(&Span::current(), "outcome", "succeeded");
                let claimed = run.now() - begin.elapsed();
                Past::new("claim", PARENT, claimed - run.waited(), claimed)
                    .with("kind", Self::KIND)
                    .with("task_id", run.task_id().0)
                    .with("queue_wait_ms", queue_wait_ms)
                    .tell();
            }
            Ok(Done::nothing())
        };
        redact::privately(whole).instrument(span).await
    }
}
