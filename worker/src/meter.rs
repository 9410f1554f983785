//! What this process counts: calls of a provider, predictions, money, and the steps themselves.

use crate::context::Context;
use crate::origin;
use metrics::{counter, histogram};
use spool_db::job_times::JobTimes;
use spool_db::jobs::Conclusion;
use spool_db::predictions::{End, PredictionRow};
use spool_job::catalog;
use spool_job::money::Micros;
use spool_job::prediction::{PredictionState, Purpose};
use spool_job::quote::variance_permille;
use spool_provider::failure;
use spool_provider::verdict::ProviderError;
use spool_queue::{Completion, Done, Failure, Handler, Outcome, RetryPolicy, Run};
use spool_telemetry::metrics::register_zero;
use spool_telemetry::names;
use spool_telemetry::traces::{self, Kind, Past};
use std::time::{Duration, Instant};
use tracing::Instrument;

/// The one provider so far.
const PROVIDER: &str = "replicate";
/// The call that is paid for.
const CREATE: &str = "create";

/// Sets to zero what only the models' names can label.
pub(crate) fn begin() {
    for model in Purpose::ALL.iter().flat_map(|purpose| catalog::models(*purpose)) {
        let labeled =
            |label: &'static str, value: &str| [("model", model.slug.clone()), (label, value.to_owned())];
        for direction in ["over", "under"] {
            register_zero(names::COST_VARIANCE, &labeled("direction", direction));
        }
        for state in [PredictionState::Succeeded, PredictionState::Failed] {
            register_zero(names::PREDICTIONS, &labeled("outcome", state.as_str()));
        }
        for name in [names::PURCHASE_COST, names::PURCHASE_LIST, names::PURCHASE_HELD] {
            register_zero(name, &[("model", model.slug.clone())]);
        }
    }
}

/// Makes a call of a provider in a span of its own, counts it and hands its result on.
pub(crate) async fn call<T>(
    operation: &'static str,
    call: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    let span = traces::child(Kind::Client, format_args!("{PROVIDER} {operation}"));
    if operation == CREATE {
        origin::note_bought();
    }
    let result = call.instrument(span.clone()).await;
    let outcome = result.as_ref().map_or_else(ProviderError::outcome, |_| "ok");
    counter!(names::PROVIDER_REQUESTS, "provider" => PROVIDER, "operation" => operation, "outcome" => outcome)
        .increment(1);
    traces::note(&span, "provider", PROVIDER);
    if result.is_err() {
        traces::fail(&span, outcome);
    }
    result
}

/// Counts a prediction that ended, and what became of the money held for it.
pub(crate) fn ended(ctx: &Context, row: &PredictionRow, end: &End<'_>) {
    let (state, cost) = (end.state, end.cost);
    tell_wait(ctx, row, state, cost);
    counter!(names::PREDICTIONS, "model" => row.model.clone(), "outcome" => state.as_str()).increment(1);
    if let Some((class, _)) = end.failure.filter(|_| state == PredictionState::Failed) {
        failed(&row.model, class);
    }
    if state == PredictionState::Succeeded {
        if let Some(seconds) = row.submitted_for_s {
            histogram!(names::PREDICTION_SECONDS, "model" => row.model.clone()).record(seconds.max(0.0));
        }
        for (name, micros) in [
            (names::PURCHASE_COST, cost),
            (names::PURCHASE_LIST, row.list),
            (names::PURCHASE_HELD, row.estimate),
        ] {
            counter!(name, "model" => row.model.clone()).increment(micros.0.unsigned_abs());
        }
    }
    if cost == Micros::ZERO {
        money("released", row.estimate);
    } else {
        money("settled", cost);
    }
    let off = variance_permille(row.list, cost).filter(|_| state == PredictionState::Succeeded);
    if let Some(permille) = off.filter(|_| cost > Micros::ZERO) {
        let direction = if permille > 0 { "over" } else { "under" };
        counter!(names::COST_VARIANCE, "model" => row.model.clone(), "direction" => direction).increment(1);
        tracing::warn!(prediction_id = %row.id, model = row.model, list_micros = row.list.0, cost_micros = cost.0,
                       permille, "it cost something else than its list price");
    }
}

/// Counts a failure; whatever a provider makes up is one class.
fn failed(model: &str, class: &str) {
    counter!(names::PREDICTION_FAILURES, "model" => model.to_owned(), "class" => failure::known(class))
        .increment(1);
}

/// Counts a job that ended, and how long it took if it has its video.
pub(crate) fn job_ended(end: &Conclusion, times: &JobTimes) {
    let outcome = match end {
        Conclusion::Completed => "completed",
        Conclusion::Failed { .. } => "failed",
        Conclusion::Canceled => "canceled",
    };
    let kind = || times.kind.clone();
    counter!(names::JOBS_ENDED, "type" => kind(), "outcome" => outcome).increment(1);
    if *end == Conclusion::Completed {
        histogram!(names::JOB_SECONDS, "type" => kind()).record(times.took_s);
        histogram!(names::JOB_OWN_SECONDS, "type" => kind()).record(times.own_s);
    }
}

/// The time at the provider: no run was there to watch it, so it is told when it is over.
fn tell_wait(ctx: &Context, row: &PredictionRow, state: PredictionState, cost: Micros) {
    if !traces::is_on() {
        return;
    }
    let Some(parent) = origin::current().and_then(|origin| origin.trace_parent) else { return };
    let waited = row.submitted_for_s.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let now = ctx.clock.now();
    let past = Past::new("provider wait", &parent, now - waited.unwrap_or_default(), now)
        .with("prediction_id", row.id.to_string())
        .with("provider", row.provider.clone())
        .with("model", row.model.clone())
        .with("state", state.as_str())
        .with("polls", i64::from(row.polls))
        .with("cost_micros", cost.0);
    traces::current().into_iter().fold(past, Past::linked_to).tell();
}

/// Counts an output that was used again instead of bought.
pub(crate) fn reused(model: &str) {
    counter!(names::REUSED, "model" => model.to_owned()).increment(1);
}

/// Counts a try to send a webhook, and how long it took if one was made.
pub(crate) fn webhook(outcome: &'static str, took: Option<Duration>) {
    counter!(names::WEBHOOK_DELIVERIES, "outcome" => outcome).increment(1);
    if let Some(took) = took {
        histogram!(names::WEBHOOK_SEND_SECONDS).record(took);
    }
}

/// Counts money that was written to the ledger.
pub(crate) fn money(kind: &'static str, amount: Micros) {
    counter!(names::MONEY_MICROS, "kind" => kind).increment(amount.0.unsigned_abs());
}

/// A step with a watch on it.
pub(crate) struct Metered<H>(pub(crate) H);

impl<H: Handler> Handler for Metered<H> {
    const KIND: &'static str = H::KIND;
    const QUEUE: &'static str = H::QUEUE;
    const TIMEOUT: Duration = H::TIMEOUT;
    const RETRY: RetryPolicy = H::RETRY;
    const COMPLETION: Completion = H::COMPLETION;
    type Payload = H::Payload;

    async fn run(&self, payload: H::Payload, run: Run) -> Result<Done, Failure> {
        let begin = Instant::now();
        let result = self.0.run(payload, run).await;
        let outcome = match &result {
            Ok(Done::Committed(_)) => "committed",
            Ok(Done::Outcome(Outcome::Done(_))) => "done",
            Ok(Done::Outcome(Outcome::Park { .. })) => "park",
            Ok(Done::Outcome(Outcome::Cancel { .. })) => "cancel",
            Ok(Done::Outcome(Outcome::Fail { .. })) => "fail",
            Err(failure) if failure.is_final() => "fail",
            Err(failure) if !failure.costs_attempt() => "park",
            Ok(Done::Outcome(Outcome::Retry { .. })) | Err(_) => "retry",
        };
        counter!(names::STEPS, "kind" => H::KIND, "outcome" => outcome).increment(1);
        histogram!(names::STEP_SECONDS, "kind" => H::KIND).record(begin.elapsed());
        result
    }
}

#[cfg(test)]
mod tests {
    use super::failed;
    use spool_provider::failure::classify;
    use spool_telemetry::{metrics, names, vocabulary};
    use std::collections::BTreeSet;

    #[tokio::test]
    async fn a_flood_of_error_texts_grows_no_series() {
        let metrics = metrics::install(spool_telemetry::declared::By::Worker);
        for n in 10_000..10_300 {
            for text in
                [format!("flood {n}"), format!("flood (E{n})"), format!("flood {n}, contents violates {n}")]
            {
                failed("a/model", &classify("failed", &text).code);
            }
        }
        let page = metrics.render();
        let series: BTreeSet<&str> =
            page.lines().filter(|line| line.starts_with(names::PREDICTION_FAILURES)).collect();
        let counted = |class: &str| {
            format!("{}{{model=\"a/model\",class=\"{class}\"}} 300", names::PREDICTION_FAILURES)
        };
        let wanted = ["model_error", "moderation", "other"].map(counted);
        assert_eq!(series, wanted.iter().map(String::as_str).collect());
    }

    #[test]
    fn what_the_queue_counts_is_declared() {
        let unknown = spool_queue::metrics::NAMES.iter().filter(|name| vocabulary::find(name).is_none());
        assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&&str>::new());
    }
}
