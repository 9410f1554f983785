//! What this process counts: calls of a provider, predictions, money, and the steps themselves.

use metrics::{counter, histogram};
use spool_db::predictions::PredictionRow;
use spool_job::catalog;
use spool_job::money::Micros;
use spool_job::prediction::{PredictionState, Purpose};
use spool_job::quote::variance_permille;
use spool_provider::verdict::{ProviderError, Verdict};
use spool_queue::{Completion, Done, Failure, Handler, Outcome, RetryPolicy, Run};
use spool_telemetry::metrics::register_zero;
use spool_telemetry::names;
use std::time::{Duration, Instant};

/// The one provider so far.
const PROVIDER: &str = "replicate";

/// Sets to zero what only the models' names can label.
pub(crate) fn begin() {
    for model in Purpose::ALL.iter().flat_map(|purpose| catalog::models(*purpose)) {
        for direction in ["over", "under"] {
            let labels = [("model", model.slug.clone()), ("direction", direction.to_owned())];
            register_zero(names::COST_VARIANCE, &labels);
        }
    }
}

/// Counts a call of a provider and hands its result on.
pub(crate) fn call<T>(operation: &'static str, result: Result<T, ProviderError>) -> Result<T, ProviderError> {
    let outcome = match &result {
        Ok(_) => "ok",
        Err(error) => match error.verdict() {
            Verdict::RetryAfter(_) => "throttled",
            Verdict::Wait { .. } => "wait",
            Verdict::Fail { .. } => "fail",
            Verdict::Unknown { .. } => "unknown",
        },
    };
    counter!(names::PROVIDER_REQUESTS, "provider" => PROVIDER, "operation" => operation, "outcome" => outcome)
        .increment(1);
    result
}

/// Counts a prediction that ended, and what became of the money held for it.
pub(crate) fn ended(row: &PredictionRow, state: PredictionState, cost: Micros) {
    counter!(names::PREDICTIONS, "model" => row.model.clone(), "outcome" => state.as_str()).increment(1);
    if cost == Micros::ZERO {
        money("released", row.estimate);
    } else {
        money("settled", cost);
    }
    let off = variance_permille(row.list, cost).filter(|_| state == PredictionState::Succeeded);
    if let Some(permille) = off.filter(|_| cost > Micros::ZERO) {
        let direction = if permille > 0 { "over" } else { "under" };
        counter!(names::COST_VARIANCE, "model" => row.model.clone(), "direction" => direction).increment(1);
        tracing::warn!(prediction.id = %row.id, model = row.model, list_micros = row.list.0, cost_micros = cost.0,
                       permille, "it cost something else than its list price");
    }
}

/// Counts an output that was used again instead of bought.
pub(crate) fn reused(model: &str) {
    counter!(names::REUSED, "model" => model.to_owned()).increment(1);
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
            Ok(Done::Outcome(Outcome::Retry { .. })) | Err(_) => "retry",
        };
        counter!(names::STEPS, "kind" => H::KIND, "outcome" => outcome).increment(1);
        histogram!(names::STEP_SECONDS, "kind" => H::KIND).record(begin.elapsed());
        result
    }
}
