//! Winding up a prediction that nobody wants any more: it is called off at the provider and looked after until it is final and its
//! money is settled. One whose fate is not known is looked for first; nothing is bought here.

use super::{Order, doubt, external_id, park, poll, price, resolve, turn};
use crate::context::Context;
use crate::crash::crash_point;
use crate::meter;
use serde_json::{Value, json};
use spool_db::predictions::{self, End, PredictionRow, Slot};
use spool_db::{jobs, progress};
use spool_job::catalog;
use spool_job::money::Micros;
use spool_job::prediction::{PredictionState, Purpose};
use spool_provider::failure::{self, Charge};
use spool_provider::verdict::Verdict;
use spool_provider::wire::{Prediction, PredictionStatus};
use spool_queue::{Done, Failure, Outcome, Run, TaskId, inspect};
use spool_telemetry::redact;
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

/// Rest while the run that wrote the intent may still record an answer.
const OWNER_REST: Duration = Duration::from_secs(1);
/// Rest between two looks: a provider takes a moment to stop.
const LOOK_REST: Duration = Duration::from_secs(2);
/// The provider keeps what ended for an hour.
const KEPT: Duration = Duration::from_secs(3600);

/// Moves the prediction one step nearer to its end.
pub(crate) async fn advance(ctx: &Context, run: &Run, id: Uuid) -> Result<Done, Failure> {
    let mut conn = ctx.read().await?;
    let Some(row) = predictions::get(&mut conn, id).await? else {
        return Ok(Outcome::Cancel { why: format!("prediction {id} has no row") }.into());
    };
    drop(conn);
    if row.state.is_final() {
        return Ok(Outcome::Done(json!({"prediction_id": id, "state": row.state})).into());
    }
    let order = Order::placed(&row)?;
    if let Some(prompt) = row.input.get("prompt").and_then(Value::as_str) {
        redact::keep_private(prompt);
    }
    match row.state {
        PredictionState::Intent => intent(ctx, run, &row).await,
        PredictionState::Unknown => resolve::resolve(ctx, run, &order, &row).await,
        PredictionState::InDoubt => doubt::look(ctx, run, &order, &row).await,
        _ => submitted(ctx, run, &order, &row).await,
    }
}

/// Webhooks and operators wake this task from now on.
pub(crate) async fn take_over(ctx: &Context, run: &Run, id: Uuid) -> Result<(), Failure> {
    let mut tx = ctx.pool.begin().await?;
    let known = predictions::task_of(&mut tx, id).await?;
    if known.is_some_and(|task| task != run.task_id().0) {
        predictions::taken_over(&mut tx, id, run.task_id().0).await?;
    }
    run.check(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// The run that wrote it may be about to post, or to record what came of that; else the answer is lost.
async fn intent(ctx: &Context, run: &Run, row: &PredictionRow) -> Result<Done, Failure> {
    let mut conn = ctx.read().await?;
    let tasks = inspect::tasks_of_group(&mut conn, &spool_job::tasks::group_key(row.job_id)).await?;
    drop(conn);
    let is_owner = |task: &inspect::TaskView| {
        !task.state.is_final() && task.token.is_some_and(|t| t.0 == row.lease_token)
    };
    if tasks.iter().any(is_owner) {
        return Ok(park(OWNER_REST, "the run that buys it is ending").into());
    }
    super::submit::lost(ctx, run, row).await
}

async fn submitted(ctx: &Context, run: &Run, order: &Order, row: &PredictionRow) -> Result<Done, Failure> {
    let external_id = external_id(row)?;
    if let Err(rest) = ctx.reads.token(&ctx.pool).await? {
        return Ok(park(rest, "waiting for the provider's rate of reads").into());
    }
    if let Err(error) = meter::call("cancel", ctx.replicate.cancel(external_id)).await {
        // Final ones cannot be called off; what became of it is for the look below to say.
        tracing::warn!(prediction_id = %row.id, error = &error as &dyn std::error::Error, "could not call it off");
    }
    crash_point!(RecallSent);
    ctx.reads.token_or_go(&ctx.pool).await;
    let found = match meter::call("get", ctx.replicate.get(external_id)).await {
        Ok(found) => found,
        Err(error) if error.status() == Some(404) && is_forgotten(order, row) => {
            let end = End {
                state: PredictionState::Failed,
                output_url: None,
                units: None,
                cost: row.estimate,
                failure: Some(("lost", "the provider no longer knows this prediction")),
            };
            return ended(ctx, run, row, &end).await;
        }
        Err(error) => {
            turn::read_throttled(ctx, &row.provider, &error).await?;
            let rest = if let Verdict::RetryAfter(wait) = error.verdict() { wait } else { LOOK_REST };
            return Ok(park(rest, "waiting for the provider").into());
        }
    };
    let state = match found.status {
        PredictionStatus::Succeeded => PredictionState::Succeeded,
        PredictionStatus::Failed => PredictionState::Failed,
        PredictionStatus::Canceled => PredictionState::Canceled,
        PredictionStatus::Aborted => PredictionState::Aborted,
        PredictionStatus::Starting | PredictionStatus::Processing | PredictionStatus::Unknown => {
            return Ok(park(LOOK_REST, "called off, waiting for its end").into());
        }
    };
    // It was faster: what is paid for is kept, for whoever orders the same again.
    if let (PredictionState::Succeeded, Some(url)) = (state, found.output_urls().first()) {
        return poll::succeeded(ctx, run, order, row, &found, url).await;
    }
    let text = failure::sayable(&found.error_text().unwrap_or_else(|| state.to_string()));
    let (class, cost) = bill(&found, &text, price::settled(order, row, &found)?);
    let state = if state == PredictionState::Succeeded { PredictionState::Failed } else { state };
    let end = End { state, output_url: None, units: None, cost, failure: Some((&class, &text)) };
    ended(ctx, run, row, &end).await
}

/// What a prediction that is final costs, and the class of its failure. `produced`: the price of what came of it.
pub(super) fn bill(found: &Prediction, text: &str, produced: Micros) -> (String, Micros) {
    if found.status == PredictionStatus::Succeeded {
        return ("no_output".to_owned(), produced);
    }
    let class = failure::classify(found.status.as_str(), text);
    let free = class.charge == Charge::None || poll::never_ran(found);
    let cost = if free { Micros::ZERO } else { produced };
    (class.code, cost)
}

fn is_forgotten(order: &Order, row: &PredictionRow) -> bool {
    let deadline = Duration::from_secs(order.model.cancel_after_s.into()) + KEPT;
    row.submitted_for_s.is_some_and(|seconds| seconds > deadline.as_secs_f64())
}

async fn ended(ctx: &Context, run: &Run, row: &PredictionRow, end: &End<'_>) -> Result<Done, Failure> {
    let mut tx = ctx.pool.begin().await?;
    jobs::lock(&mut tx, row.job_id).await?;
    predictions::ended(&mut tx, row.id, end).await?;
    let data = json!({"prediction_id": row.id, "scene_id": row.scene_id, "ordinal": row.ordinal,
                      "prediction_state": end.state, "cost_micros": end.cost});
    progress::refresh(&mut tx, row.job_id, "prediction_recalled", &data).await?;
    let done =
        run.commit(tx, Outcome::Done(json!({"prediction_id": row.id, "cost_micros": end.cost}))).await?;
    crash_point!(RecallRecorded);
    meter::ended(ctx, row, end);
    tracing::info!(prediction_id = %row.id, state = %end.state, cost_micros = end.cost.0, "called off");
    Ok(done)
}

impl Order {
    /// The order that a row was written for, read back from the row itself: photos and scenes may have changed since.
    pub(super) fn placed(row: &PredictionRow) -> Result<Self, Failure> {
        let slot = Slot {
            job_id: row.job_id,
            purpose: row.purpose,
            scene: row.scene_id.zip(row.scene_version),
            ordinal: row.ordinal,
        };
        let media: BTreeMap<String, String> = serde_json::from_value(row.media.clone())?;
        Self::read_back(slot, &row.model, &row.input, media)
    }

    /// The order behind an input as it was sent: enough to find it and to reckon its cost, not to buy it again.
    pub(super) fn read_back(
        slot: Slot,
        model: &str,
        input: &Value,
        media: BTreeMap<String, String>,
    ) -> Result<Self, Failure> {
        let text = |field: &str| input.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let seconds = input.get("duration").and_then(Value::as_f64).unwrap_or_default();
        let resolution = if slot.purpose == Purpose::Render { text("resolution") } else { String::new() };
        let input = input.clone();
        Ok(Self {
            slot,
            model: catalog::find(model, slot.purpose)?,
            resolution,
            audio: input.get("generate_audio").and_then(Value::as_bool).unwrap_or(false),
            media_ms: (seconds * 1000.0).round() as i64,
            media,
            reuse: false,
            input: Box::new(move |_| input.clone()),
        })
    }
}

/// Whether the task that a row names still looks after it.
pub(super) async fn is_looked_after(conn: &mut sqlx::PgConnection, task_id: i64) -> Result<bool, Failure> {
    let task = inspect::task(conn, TaskId(task_id)).await?;
    Ok(task.is_some_and(|task| !task.state.is_final()))
}
