//! The one POST: intent first, then one call, then what it said.

use super::{Order, money, park, price, turn};
use crate::context::Context;
use crate::crash::crash_point;
use crate::meter;
use serde_json::{Value, json};
use spool_db::budgets::{self, Decision};
use spool_db::jobs::Parked;
use spool_db::predictions::{self, NewIntent, PredictionRow};
use spool_db::{cancellation, jobs, orphans, progress, scenes};
use spool_job::money::Micros;
use spool_job::prediction::Purpose;
use spool_job::state::SceneState;
use spool_provider::client::Create;
use spool_provider::verdict::Verdict;
use spool_queue::{Done, Failure, Outcome, Run};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// First look after a POST that went well, where nobody can say how much else is in flight: nothing is done sooner.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// Rest of a task whose account's credit is used up.
const OUTAGE_REST: Duration = Duration::from_secs(60);
/// A POST goes out this soon after its lease was seen to be held, or not at all.
const LATEST_POST: Duration = Duration::from_millis(1500);
/// And this soon after it was seen that nobody has stopped spending: a stop is obeyed within a second of its answer.
const LATEST_AFTER_STOP: Duration = Duration::from_millis(800);
/// Links in an input outlive the longest deadline a prediction gets.
const LINK_LIFE: chrono::TimeDelta = chrono::TimeDelta::hours(2);

/// Buys: writes the intent, posts, records the answer.
pub(super) async fn submit(ctx: &Context, run: &Run, order: &Order) -> Result<Done, Failure> {
    let provider = order.model.provider.as_str();
    let mut conn = ctx.read().await?;
    let quote = price::of_order(&mut conn, order, ctx.clock.now().date_naive()).await?;
    drop(conn);
    let estimate = quote.held;
    if let Some(waits) = turn::before(ctx, run, order, estimate).await? {
        return Ok(waits);
    }
    if let Some(waits) = money::before(ctx, run, order, estimate).await? {
        return Ok(waits);
    }
    crash_point!(TurnInSight);
    let mut tx = ctx.pool.begin().await?;
    let state = jobs::lock(&mut tx, order.slot.job_id).await?;
    // What is called off buys nothing more; the lock on the job keeps the two apart.
    if state.is_final() || cancellation::requested_at(&mut tx, order.slot.job_id).await?.is_some() {
        return Ok(Outcome::Cancel { why: format!("the job is {state}") }.into());
    }
    jobs::begin(&mut tx, order.slot.job_id).await?;
    if let Some((scene_id, version)) = order.slot.scene {
        scenes::move_to(&mut tx, scene_id, version, SceneState::Processing, None, None).await?;
    }
    let tries = predictions::tries(&mut tx, order.slot).await?;
    let id = Uuid::now_v7();
    let expires = ctx.clock.now() + LINK_LIFE;
    let link = |name: &str| ctx.media_link(id, name, expires);
    let input = order.input(id, &link);
    let intent = NewIntent {
        id,
        slot: order.slot,
        attempt: tries.all + 1,
        task_id: run.task_id().0,
        lease_token: run.token().0,
        provider,
        model: &order.model.slug,
        input: &input,
        input_digest: &order.digest(id),
        memo_key: &order.memo_key(),
        media: &json!(order.media),
        unit: order.model.unit.as_str(),
        unit_price: quote.unit,
        list: quote.list,
        estimate,
    };
    let decision = predictions::intend(&mut tx, &intent).await?;
    if decision != Decision::Held {
        tx.rollback().await?;
        return money::lacking(ctx, run, order, estimate, decision).await;
    }
    budgets::waits_no_more(&mut tx, run.task_id().0).await?;
    let data = json!({"prediction_id": id, "model": order.model.slug, "scene_id": order.slot.scene.map(|(id, _)| id),
                      "ordinal": order.slot.ordinal, "estimate_micros": estimate});
    progress::refresh(&mut tx, order.slot.job_id, &format!("{}_started", order.slot.purpose), &data).await?;
    if !turn::take(&mut tx, run, order, estimate).await? {
        tx.rollback().await?;
        return turn::wait(ctx, run, order, estimate, turn::Money::Enough).await;
    }
    turn::goes_on(&mut tx, order.slot.job_id).await?;
    crash_point!(TurnTaken);
    // Last of the locks: if the lease went while we prepared, nothing of this happens.
    let held_at = Instant::now();
    run.check(&mut tx).await?;
    // Waiting for locks is over: from here only the commit stands before the POST. The age counts from before the question, so
    // whatever a stop did not find here is sent by then or not at all.
    let unstopped_at = Instant::now();
    if let Some(stop) = budgets::stopped(&mut tx).await? {
        tx.rollback().await?;
        return money::lacking(ctx, run, order, estimate, Decision::Stopped { why: stop.why }).await;
    }
    crash_point!(IntentUncommitted);
    tx.commit().await?;
    crash_point!(IntentWritten);
    tracing::info!(prediction_id = %id, model = order.model.slug, estimate_micros = estimate.0, "buying");

    meter::money("reserved", estimate);
    // A process that stood still since may have lost its lease, and another may be about to rule this intent out.
    let too_late = held_at.elapsed() > LATEST_POST || unstopped_at.elapsed() > LATEST_AFTER_STOP;
    if too_late || run.canceled().is_cancelled() {
        let mut tx = ctx.pool.begin().await?;
        predictions::refused(&mut tx, id, "not_sent", "this run stood still before it could send it").await?;
        meter::money("released", estimate);
        crash_point!(NotSentUncommitted);
        let done = run.commit(tx, park(Duration::ZERO, "not sent yet")).await?;
        crash_point!(NotSentRecorded);
        return Ok(done);
    }
    let answer = meter::call("create", ctx.replicate.create(&request(ctx, order, id, input))).await;
    crash_point!(Posted);
    record(ctx, run, order, (id, estimate), answer.map(|prediction| prediction.id)).await
}

fn request(ctx: &Context, order: &Order, id: Uuid, input: Value) -> Create {
    Create {
        model: order.model.slug.clone(),
        version: order.model.version.clone(),
        input,
        webhook: Some(ctx.webhook_link(id)),
        cancel_after: Some(Duration::from_secs(order.model.cancel_after_s.into())),
    }
}

async fn record(
    ctx: &Context,
    run: &Run,
    order: &Order,
    (id, held): (Uuid, Micros),
    answer: Result<String, spool_provider::verdict::ProviderError>,
) -> Result<Done, Failure> {
    let first_look =
        ctx.pace.rest(ctx, &order.model.provider, id, Duration::ZERO, 0).await.unwrap_or(FIRST_LOOK);
    let mut tx = ctx.pool.begin().await?;
    jobs::lock(&mut tx, order.slot.job_id).await?;
    let error = match answer {
        Ok(external_id) => {
            let ours = predictions::submitted(&mut tx, id, &external_id, false).await?;
            if !ours {
                orphans::late(&mut tx, id, &external_id).await?;
            }
            turn::answered(&mut tx, order, None).await?;
            crash_point!(SubmitUncommitted);
            let done = run.commit(tx, park(first_look, "rendering")).await;
            crash_point!(SubmitRecorded);
            if !ours {
                call_off(ctx, id, &external_id).await;
            }
            return Ok(done?);
        }
        Err(error) => error,
    };
    if !matches!(error.verdict(), Verdict::Unknown { .. }) {
        meter::money("released", held);
    }
    tracing::warn!(prediction_id = %id, error = &error as &dyn std::error::Error, "the provider did not take it");
    let outcome = match error.verdict() {
        Verdict::RetryAfter(wait) => {
            predictions::refused(&mut tx, id, "throttled", &error.to_string()).await?;
            park(wait, "throttled by the provider")
        }
        Verdict::Wait { why } => {
            let parked = Parked { what: "provider", why: why.clone(), until: None };
            jobs::park(&mut tx, order.slot.job_id, Some(&parked)).await?;
            predictions::refused(&mut tx, id, "unavailable", &error.to_string()).await?;
            park(OUTAGE_REST, why)
        }
        Verdict::Fail { code, message } => {
            fail_scene(&mut tx, order, &message).await?;
            predictions::refused(&mut tx, id, &code, &message).await?;
            Outcome::Fail { class: code, error: message }
        }
        Verdict::Unknown { why } => {
            predictions::unknown(&mut tx, id, &why).await?;
            park(ctx.settings.submit_settle / 2, format!("looking for the prediction: {why}"))
        }
    };
    turn::answered(&mut tx, order, Some(&error)).await?;
    crash_point!(AnswerUncommitted);
    let done = run.commit(tx, outcome).await?;
    if matches!(error.verdict(), Verdict::Unknown { .. }) {
        crash_point!(UnknownRecorded);
    } else {
        crash_point!(RefusalRecorded);
    }
    Ok(done)
}

/// The row was settled without this run, so nobody wants what it bought. Should this fail, the sweep for orphans does it.
async fn call_off(ctx: &Context, id: Uuid, external_id: &str) {
    tracing::error!(prediction_id = %id, external_id, "this row was settled without us: calling the prediction off");
    ctx.reads.token_or_go(&ctx.pool).await;
    if let Err(error) = meter::call("cancel", ctx.replicate.cancel(external_id)).await {
        tracing::error!(external_id, error = &error as &dyn std::error::Error, "could not call it off");
    }
}

/// An intent stands that this run did not write: the run that did may have posted before it died.
pub(super) async fn lost(ctx: &Context, run: &Run, row: &PredictionRow) -> Result<Done, Failure> {
    let mut tx = ctx.pool.begin().await?;
    predictions::unknown(&mut tx, row.id, "the run that wrote the intent ended before it recorded an answer")
        .await?;
    crash_point!(LossUncommitted);
    let done = run.commit(tx, park(Duration::ZERO, "looking for the prediction")).await?;
    crash_point!(LossRecorded);
    Ok(done)
}

/// Marks the order's scene failed; the job's row is locked.
pub(super) async fn fail_scene(
    conn: &mut sqlx::PgConnection,
    order: &Order,
    error: &str,
) -> Result<(), Failure> {
    if let (Purpose::Render, Some((scene_id, version))) = (order.slot.purpose, order.slot.scene) {
        scenes::move_to(conn, scene_id, version, SceneState::Failed, None, Some(error)).await?;
        let data = json!({"scene_id": scene_id, "error": error});
        progress::refresh(conn, order.slot.job_id, "scene_failed", &data).await?;
    }
    Ok(())
}
