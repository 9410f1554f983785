//! The turn before a paid call, the line where one waits for it, and what the provider's answers mean for the others.

use super::{Order, park};
use crate::context::Context;
use crate::crash::crash_point;
use crate::limits::put_off;
use metrics::{counter, histogram};
use spool_db::jobs::{self, Parked};
use spool_db::limits::line::{self, Ask, Place};
use spool_db::limits::{feedback, obstacles};
use spool_db::{budgets, cancellation, error::DbError};
use spool_job::money::Micros;
use spool_provider::failure::FailureClass;
use spool_provider::verdict::{ProviderError, Verdict};
use spool_queue::{Done, Failure, Outcome, Run};
use spool_telemetry::names;
use sqlx::PgConnection;
use std::time::Duration;

/// A job does not show a wait that is over before anybody reads of it.
const NOT_WORTH_TELLING: Duration = Duration::from_secs(3);
/// Who waits looks by itself after this, and up to twice as long, should everybody who gives turns be gone.
const LOOK_AGAIN: Duration = Duration::from_secs(120);

/// What is known of the money when a task goes to the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Money {
    /// Nobody has asked: a wait for it that there may be stays.
    NotAsked,
    /// It was there, so the task does not wait for it.
    Enough,
}

fn ask<'a>(run: &'a Run, order: &'a Order, cost: Micros) -> Ask<'a> {
    Ask {
        task_id: run.task_id().0,
        job_id: order.slot.job_id,
        provider: &order.model.provider,
        model: &order.model.slug,
        share: run.share_key(),
        cost,
    }
}

/// What to do instead of trying, where a try would be in vain.
pub(super) async fn before(
    ctx: &Context,
    run: &Run,
    order: &Order,
    cost: Micros,
) -> Result<Option<Done>, Failure> {
    let mut conn = ctx.read().await?;
    let place = line::place(&mut conn, &ask(run, order, cost)).await?;
    drop(conn);
    Ok(match place {
        Place::Try => None,
        Place::TurnIn(wait) => Some(park(wait, "has a turn").into()),
        Place::Behind => Some(wait(ctx, run, order, cost, Money::NotAsked).await?),
    })
}

/// Takes the turn in the transaction that writes the intent; without one that must be rolled back.
pub(super) async fn take(
    conn: &mut PgConnection,
    run: &Run,
    order: &Order,
    cost: Micros,
) -> Result<bool, DbError> {
    let taken = line::take(conn, &ask(run, order, cost)).await?;
    if let Some(waited) = taken {
        let provider = order.model.provider.clone();
        counter!(names::LIMIT_TOKENS, "provider" => provider.clone(), "class" => "create").increment(1);
        histogram!(names::LIMIT_WAIT_SECONDS, "provider" => provider).record(waited);
    }
    Ok(taken.is_some())
}

/// Goes to the line: parked until its turn comes, which whoever gives turns sees to.
pub(super) async fn wait(
    ctx: &Context,
    run: &Run,
    order: &Order,
    cost: Micros,
    money: Money,
) -> Result<Done, Failure> {
    let ask = ask(run, order, cost);
    let mut tx = ctx.pool.begin().await?;
    let state = jobs::lock(&mut tx, ask.job_id).await?;
    if state.is_final() || cancellation::requested_at(&mut tx, ask.job_id).await?.is_some() {
        return Ok(Outcome::Cancel { why: format!("the job is {state}") }.into());
    }
    let first = obstacles(&mut tx, ask.provider, ask.model).await?.into_iter().next();
    if money == Money::Enough {
        budgets::waits_no_more(&mut tx, ask.task_id).await?;
    }
    let joined = line::join(&mut tx, &ask).await?;
    let why = first.as_ref().map_or_else(|| format!("waits for {}", ask.provider), |first| first.why.clone());
    let long = joined.turn_in.is_none_or(|wait| wait > NOT_WORTH_TELLING);
    if long && !budgets::job_waits(&mut tx, ask.job_id).await? {
        let until =
            first.filter(|first| matches!(first.what, "pause" | "breaker")).and_then(|first| first.until);
        let parked = Parked { what: "provider", why: why.clone(), until };
        jobs::park(&mut tx, ask.job_id, Some(&parked)).await?;
    }
    let bell = put_off(&mut tx, &joined.given).await?;
    let spread = LOOK_AGAIN.mul_f64((ask.task_id.unsigned_abs() % 64) as f64 / 64.0);
    let rest = joined.turn_in.unwrap_or(LOOK_AGAIN + spread);
    crash_point!(TurnWaitUncommitted);
    let done = run.commit_with(tx, park(rest, why), bell).await?;
    crash_point!(TurnWaitRecorded);
    Ok(done)
}

/// The job shows no wait for money or for a provider any more, unless another of its tasks waits.
pub(super) async fn goes_on(conn: &mut PgConnection, job_id: i64) -> Result<(), DbError> {
    if !budgets::job_waits(conn, job_id).await? && !line::job_waits(conn, job_id).await? {
        jobs::park(conn, job_id, None).await?;
    }
    Ok(())
}

/// Tells all workers what a POST was answered. The rows of the prediction and its money are written before.
pub(super) async fn answered(
    conn: &mut PgConnection,
    order: &Order,
    error: Option<&ProviderError>,
) -> Result<(), DbError> {
    let (provider, model) = (&order.model.provider, &order.model.slug);
    let Some(error) = error else { return feedback::accepted(conn, provider, model).await };
    let why = error.to_string();
    match (error.verdict(), error.status()) {
        (Verdict::RetryAfter(rest), Some(_)) => {
            counter!(names::PROVIDER_THROTTLED, "provider" => provider.clone(), "class" => "create")
                .increment(1);
            feedback::throttled(conn, provider, rest, error.lowered_rate()).await
        }
        (Verdict::RetryAfter(_), None) => feedback::unreachable(conn, provider, &why).await,
        (Verdict::Wait { why }, _) => feedback::account_refused(conn, provider, &why).await,
        (Verdict::Fail { .. }, _) => feedback::answered(conn, provider).await,
        (Verdict::Unknown { .. }, Some(status)) if status >= 500 => {
            feedback::server_error(conn, provider, model, &why).await
        }
        (Verdict::Unknown { .. }, _) => feedback::lost(conn, provider, &why).await,
    }
}

/// Tells all workers how a run failed.
pub(super) async fn run_failed(
    conn: &mut PgConnection,
    provider: &str,
    model: &str,
    class: &FailureClass,
    rest: Duration,
    why: &str,
) -> Result<(), DbError> {
    if class.is_capacity() {
        feedback::crowded(conn, provider, model, rest, why).await
    } else if class.is_the_providers() {
        feedback::run_failed(conn, provider, model, why).await
    } else {
        Ok(())
    }
}

/// A read was told to come later: so are all others.
pub(super) async fn read_throttled(
    ctx: &Context,
    provider: &str,
    error: &ProviderError,
) -> Result<(), Failure> {
    if let (Verdict::RetryAfter(rest), Some(429)) = (error.verdict(), error.status()) {
        counter!(names::PROVIDER_THROTTLED, "provider" => provider.to_owned(), "class" => "other")
            .increment(1);
        let mut tx = ctx.pool.begin().await?;
        feedback::reads_throttled(&mut tx, provider, rest).await?;
        tx.commit().await?;
    }
    Ok(())
}
