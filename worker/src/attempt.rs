//! Around every step: one log line at the end of each attempt, and one span. A run that only waited is no attempt: its line is for
//! debugging, and it leaves no span unless it bought something.

use crate::origin;
use spool_job::tasks::Concerns;
use spool_queue::{BoxError, Completion, Done, Failure, Handler, Outcome, RetryPolicy, Run, StopReason};
use spool_telemetry::logging::milliseconds;
use spool_telemetry::redact;
use spool_telemetry::traces::{self, Kind, Past};
use std::time::{Duration, Instant};
use tracing::field::Empty;
use tracing::{Instrument, Span};

/// A step that tells how its runs end.
pub(crate) struct Attempt<H>(pub(crate) H);

impl<H> Handler for Attempt<H>
where
    H: Handler,
    H::Payload: Concerns,
{
    const KIND: &'static str = H::KIND;
    const QUEUE: &'static str = H::QUEUE;
    const TIMEOUT: Duration = H::TIMEOUT;
    const RETRY: RetryPolicy = H::RETRY;
    const VERSION: i16 = H::VERSION;
    const COMPLETION: Completion = H::COMPLETION;
    type Payload = H::Payload;

    fn upcast(version: i16, payload: serde_json::Value) -> Result<serde_json::Value, BoxError> {
        H::upcast(version, payload)
    }

    async fn run(&self, payload: H::Payload, run: Run) -> Result<Done, Failure> {
        let origin = payload.origin().cloned();
        // Of the highest level, so that lines carry its fields whatever filter is set.
        let span = tracing::error_span!(
            "attempt",
            job_id = payload.job_id(),
            task_id = run.task_id().0,
            kind = H::KIND,
            attempt = run.attempt(),
            request_id = origin.as_ref().map(|origin| origin.request_id.as_str()),
            trace_id = Empty,
            otel.name = Empty,
            otel.kind = Empty
        );
        let parent = origin.as_ref().and_then(|origin| origin.trace_parent.clone());
        traces::open(&span, Kind::Consumer, H::KIND, parent.as_deref());
        let watch = Watch {
            kind: H::KIND,
            parent,
            run: run.clone(),
            span: span.clone(),
            begin: Instant::now(),
            told: false,
        };
        let whole = async move {
            let mut watch = watch;
            let result = self.0.run(payload, run).await;
            watch.ended(&result);
            result
        };
        origin::on_behalf(origin, redact::privately(whole)).instrument(span).await
    }
}

/// Tells how a run ended, also when its handler was dropped half way.
struct Watch {
    kind: &'static str,
    /// The span of the request.
    parent: Option<String>,
    run: Run,
    span: Span,
    begin: Instant,
    told: bool,
}

/// How a run ended.
struct End<'a> {
    outcome: &'static str,
    class: Option<&'a str>,
    error: Option<&'a str>,
}

impl Watch {
    fn ended(&mut self, result: &Result<Done, Failure>) {
        let last = self.run.is_last_attempt();
        let mut end = End { outcome: "succeeded", class: None, error: None };
        match result {
            Ok(Done::Committed(_)) => end.outcome = self.run.written().unwrap_or("succeeded"),
            Ok(Done::Outcome(outcome)) => match outcome {
                Outcome::Done(_) => {}
                Outcome::Park { .. } => end.outcome = "parked",
                Outcome::Cancel { .. } => end.outcome = "canceled",
                Outcome::Retry { class, error, .. } => {
                    end = End { outcome: tried(last), class: Some(class), error: Some(error) };
                }
                Outcome::Fail { class, error } => {
                    end = End { outcome: "failed", class: Some(class), error: Some(error) };
                }
            },
            Err(failure) => {
                let said = if failure.costs_attempt() { tried(last || failure.is_final()) } else { "parked" };
                let outcome = self.run.written().unwrap_or(said);
                end = End { outcome, class: Some(failure.class()), error: Some(failure.error()) };
            }
        }
        self.tell(&end);
    }

    fn tell(&mut self, end: &End<'_>) {
        self.told = true;
        let duration_ms = milliseconds(self.begin.elapsed());
        let queue_wait_ms = milliseconds(self.run.waited());
        let End { outcome, class, error } = *end;
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(outcome, duration_ms, queue_wait_ms, error.class = class, error, "attempt")
            };
        }
        match outcome {
            "parked" if error.is_none() => line!(debug),
            "succeeded" | "canceled" | "handed_back" => line!(info),
            "failed" => line!(error),
            _ => line!(warn),
        }
        self.tell_trace(end, queue_wait_ms);
    }

    fn tell_trace(&self, end: &End<'_>, queue_wait_ms: f64) {
        if !traces::is_on() {
            return;
        }
        if end.outcome == "parked" && !origin::has_bought() {
            traces::leave_out(&self.span);
            return;
        }
        traces::note(&self.span, "outcome", end.outcome);
        if !matches!(end.outcome, "succeeded" | "canceled" | "parked" | "handed_back") {
            traces::fail(&self.span, end.class.unwrap_or(end.outcome));
        }
        if let Some(parent) = &self.parent {
            let claimed = self.run.now() - self.begin.elapsed();
            Past::new("claim", parent, claimed - self.run.waited(), claimed)
                .with("kind", self.kind)
                .with("task_id", self.run.task_id().0)
                .with("queue_wait_ms", queue_wait_ms)
                .tell();
        }
    }
}

/// An attempt that failed.
fn tried(for_good: bool) -> &'static str {
    if for_good { "failed" } else { "retry" }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.told {
            return;
        }
        let broken = |class| End {
            outcome: if self.run.is_last_attempt() { "failed" } else { "broken" },
            class: Some(class),
            error: None,
        };
        let end = match self.run.stop_reason() {
            _ if std::thread::panicking() => broken("panic"),
            Some(StopReason::Canceled) => End { outcome: "canceled", class: None, error: None },
            Some(StopReason::LeaseLost) => End { outcome: "refused", class: Some("lease_lost"), error: None },
            Some(StopReason::Shutdown) => End { outcome: "handed_back", class: None, error: None },
            None => broken("timeout"),
        };
        self.tell(&end);
    }
}
