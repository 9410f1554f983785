//! Looking after a submitted prediction until it is final, and what each end costs and causes.

use super::submit::fail_scene;
use super::{Order, external_id, overdue, park, price, turn};
use crate::context::Context;
use crate::crash::crash_point;
use crate::meter;
use crate::origin;
use serde_json::json;
use spool_db::jobs;
use spool_db::limits::feedback;
use spool_db::predictions::{self, End, PredictionRow};
use spool_db::{custody, progress, scenes};
use spool_job::money::Micros;
use spool_job::prediction::PredictionState;
use spool_job::state::SceneState;
use spool_job::tasks::{CollectTask, PAYLOAD_VERSION, TaskKind, group_key};
use spool_provider::failure::{self, Charge};
use spool_provider::verdict::Verdict;
use spool_provider::wire::{Prediction, PredictionStatus};
use spool_queue::{Batch, Done, Failure, NewTask, Outcome, Run};
use std::time::Duration;

/// Tries in vain after which even an overloaded provider is given up: about an hour of them.
const MOST_CAPACITY_FAILURES: i32 = 30;

/// One look takes no longer, reads repeated by the client included: well within the step's time.
const LONGEST_LOOK: Duration = Duration::from_secs(60);
/// The provider keeps what ended for an hour.
const KEPT: Duration = Duration::from_secs(3600);

/// Looks once.
pub(super) async fn poll(
    ctx: &Context,
    run: &Run,
    order: &Order,
    row: &PredictionRow,
) -> Result<Done, Failure> {
    let submitted_for = Duration::from_secs_f64(row.submitted_for_s.unwrap_or_default().max(0.0));
    let rest = ctx.pace.rest(ctx, &row.provider, row.id, submitted_for, row.polls).await?;
    let overdue = submitted_for > Duration::from_secs(order.model.cancel_after_s.into()) + KEPT;
    if let Err(rest) = ctx.reads.token(&ctx.pool).await? {
        return Ok(park(rest, "waiting for the provider's rate of reads").into());
    }
    let look = meter::call("get", ctx.replicate.get(external_id(row)?));
    let found = match tokio::time::timeout(LONGEST_LOOK, look).await {
        Ok(Ok(found)) => found,
        Err(_) => return Ok(park(rest, "the provider does not answer").into()),
        Ok(Err(error)) if overdue && error.status() == Some(404) => {
            // It is long past its deadline and forgotten. What it cost nobody can say; what was held is booked.
            let lost = ("lost", "the provider no longer knows this prediction");
            return ended(ctx, run, order, row, PredictionState::Failed, lost, row.estimate).await;
        }
        Ok(Err(error)) => {
            tracing::warn!(prediction_id = %row.id, error = &error as &dyn std::error::Error, "could not ask for the prediction");
            turn::read_throttled(ctx, &row.provider, &error).await?;
            let rest = if let Verdict::RetryAfter(wait) = error.verdict() { wait } else { rest };
            return Ok(park(rest, "waiting for the provider").into());
        }
    };
    crash_point!(Looked);
    let state = match found.status {
        PredictionStatus::Succeeded => PredictionState::Succeeded,
        PredictionStatus::Failed => PredictionState::Failed,
        PredictionStatus::Canceled => PredictionState::Canceled,
        PredictionStatus::Aborted => PredictionState::Aborted,
        PredictionStatus::Starting | PredictionStatus::Processing | PredictionStatus::Unknown => {
            overdue::call_off(ctx, order, row, submitted_for).await;
            let mut tx = ctx.pool.begin().await?;
            predictions::polled(&mut tx, row.id).await?;
            crash_point!(LookUncommitted);
            let done = run.commit(tx, park(rest, "rendering")).await?;
            crash_point!(LookRecorded);
            return Ok(done);
        }
    };
    crash_point!(Polled);
    match (state, found.output_urls().first()) {
        (PredictionState::Succeeded, Some(url)) => {
            let url = (*url).to_owned();
            succeeded(ctx, run, order, row, &found, &url).await
        }
        (PredictionState::Succeeded, None) => {
            let cost = price::settled(order, row, &found)?;
            ended(
                ctx,
                run,
                order,
                row,
                PredictionState::Failed,
                ("no_output", "the model reported success without an output"),
                cost,
            )
            .await
        }
        (state, _) => failed(ctx, run, order, row, &found, state).await,
    }
}

pub(super) async fn succeeded(
    ctx: &Context,
    run: &Run,
    order: &Order,
    row: &PredictionRow,
    found: &Prediction,
    url: &str,
) -> Result<Done, Failure> {
    let units = price::billed_units(order, found);
    let cost = price::settled(order, row, found)?;
    let mut tx = ctx.pool.begin().await?;
    jobs::lock(&mut tx, row.job_id).await?;
    let end = End {
        state: PredictionState::Succeeded,
        output_url: Some(url),
        units: Some(units),
        cost,
        failure: None,
    };
    predictions::ended(&mut tx, row.id, &end).await?;
    custody::left(&mut tx, row.id, found.completed_at).await?;
    let data = json!({"prediction_id": row.id, "scene_id": row.scene_id, "ordinal": row.ordinal, "cost_micros": cost});
    progress::refresh(&mut tx, row.job_id, &format!("{}_finished", row.purpose), &data).await?;
    feedback::run_succeeded(&mut tx, &row.provider, &row.model).await?;
    // The output vanishes an hour after its end, so the oldest is fetched first.
    let left_at = custody::left_at(&mut tx, row.id).await?;
    crash_point!(SuccessUncommitted);
    let done = hand_to_collect(tx, run, row, left_at).await?;
    meter::ended(ctx, row, &end);
    crash_point!(SuccessRecorded);
    tracing::info!(prediction_id = %row.id, cost_micros = cost.0, "bought");
    Ok(done)
}

/// A successful prediction already fills the slot: nothing is paid again, its output is fetched if
/// that has not happened.
pub(super) async fn bought_before(ctx: &Context, run: &Run, row: &PredictionRow) -> Result<Done, Failure> {
    let mut tx = ctx.pool.begin().await?;
    jobs::lock(&mut tx, row.job_id).await?;
    if let Some((scene_id, version)) = row.scene_id.zip(row.scene_version) {
        // A retry has set the scene back.
        scenes::move_to(&mut tx, scene_id, version, SceneState::Processing, None, None).await?;
        if let Some(digest) = &row.output_digest {
            scenes::move_to(&mut tx, scene_id, version, SceneState::Completed, Some(digest), None).await?;
        }
    }
    if row.output_digest.is_some() {
        let output = origin::signed(json!({"prediction_id": row.id, "reused": true}));
        return Ok(run.commit(tx, Outcome::Done(output)).await?);
    }
    let left_at = custody::left_at(&mut tx, row.id).await?;
    hand_to_collect(tx, run, row, left_at).await
}

async fn hand_to_collect(
    mut tx: sqlx::Transaction<'static, sqlx::Postgres>,
    run: &Run,
    row: &PredictionRow,
    left_at: Option<chrono::DateTime<chrono::Utc>>,
) -> Result<Done, Failure> {
    let payload = CollectTask { job_id: row.job_id, prediction_id: row.id, origin: origin::current() };
    let mut task =
        NewTask::new(TaskKind::Collect.as_str(), TaskKind::Collect.queue(), PAYLOAD_VERSION, &payload)
            .group_key(group_key(row.job_id))
            .unique_key(row.id.to_string());
    if let Some(share) = run.share_key() {
        task = task.share_key(share);
    }
    if let Some(at) = left_at {
        task = task.run_at(at);
    }
    let mut batch = Batch::new();
    let collect = batch.add(task);
    // What waits for this task now waits for the clip to be stored as well.
    batch.in_place_of(collect, run.task_id());
    let enqueued = batch.insert(&mut tx).await?;
    Ok(run.commit_with(tx, Outcome::Done(json!({"prediction_id": row.id})), enqueued.bell).await?)
}

async fn failed(
    ctx: &Context,
    run: &Run,
    order: &Order,
    row: &PredictionRow,
    found: &Prediction,
    state: PredictionState,
) -> Result<Done, Failure> {
    let text = failure::sayable(&found.error_text().unwrap_or_else(|| state.to_string()));
    let class = failure::classify(state.as_str(), &text);
    let cost = match class.charge {
        Charge::None => Micros::ZERO,
        Charge::Produced if never_ran(found) => Micros::ZERO,
        Charge::Produced => price::settled(order, row, found)?,
    };
    let mut tx = ctx.pool.begin().await?;
    let tries = predictions::tries(&mut tx, order.slot).await?;
    let more = if class.is_capacity() {
        // The provider could not start it: that is its load, not our try.
        tries.all < MOST_CAPACITY_FAILURES
    } else {
        tries.counted + 1 < i32::from(order.model.attempts)
    };
    let rest = class.backoff(row.attempt as u32);
    turn::run_failed(&mut tx, &row.provider, &row.model, &class, rest, &text).await?;
    tx.commit().await?;
    crash_point!(PauseRecorded);
    if class.retryable && more {
        let mut tx = ctx.pool.begin().await?;
        jobs::lock(&mut tx, row.job_id).await?;
        let end = End { state, output_url: None, units: None, cost, failure: Some((&class.code, &text)) };
        predictions::ended(&mut tx, row.id, &end).await?;
        let data =
            json!({"prediction_id": row.id, "scene_id": row.scene_id, "error": text, "attempt": row.attempt});
        progress::refresh(&mut tx, row.job_id, "prediction_failed", &data).await?;
        let wait = class.backoff(row.attempt as u32);
        meter::ended(ctx, row, &end);
        tracing::warn!(prediction_id = %row.id, error = text, error.class = class.code, "the prediction failed, buying another after a rest");
        crash_point!(RetryUncommitted);
        let done = run.commit(tx, park(wait, format!("{text}; trying again"))).await?;
        crash_point!(RetryRecorded);
        return Ok(done);
    }
    ended(ctx, run, order, row, state, (&class.code, &text), cost).await
}

/// Ends it for good: the scene fails with it.
async fn ended(
    ctx: &Context,
    run: &Run,
    order: &Order,
    row: &PredictionRow,
    state: PredictionState,
    (class, text): (&str, &str),
    cost: Micros,
) -> Result<Done, Failure> {
    let mut tx = ctx.pool.begin().await?;
    jobs::lock(&mut tx, row.job_id).await?;
    fail_scene(&mut tx, order, text).await?;
    let end = End { state, output_url: None, units: None, cost, failure: Some((class, text)) };
    predictions::ended(&mut tx, row.id, &end).await?;
    meter::ended(ctx, row, &end);
    tracing::warn!(prediction_id = %row.id, error = text, error.class = class, "the prediction failed for good");
    crash_point!(FailureUncommitted);
    let done = run.commit(tx, Outcome::Fail { class: class.to_owned(), error: text.to_owned() }).await?;
    crash_point!(FailureRecorded);
    Ok(done)
}

/// Called off before the model began: nothing is charged.
pub(super) fn never_ran(found: &Prediction) -> bool {
    found.status == PredictionStatus::Canceled && found.started_at.is_none()
}
