//! Waiting for money: who stands back for whom, and what the job says meanwhile. Nothing is bought and nothing fails.

use super::{Order, park};
use crate::context::Context;
use crate::crash::crash_point;
use spool_db::budgets::{self, Decision, Place, Scope, Shortfall, Wish};
use spool_db::cancellation;
use spool_db::jobs::{self, Parked};
use spool_db::limits::line;
use spool_job::money::Micros;
use spool_queue::{Done, Failure, Outcome, Run};
use std::time::Duration;

/// What waits for money looks again after this, and up to twice as long, should everybody who offers some be gone.
const LOOK_AGAIN: Duration = Duration::from_secs(600);

fn wish<'a>(run: &'a Run, order: &Order, micros: Micros) -> Wish<'a> {
    Wish { task_id: run.task_id().0, job_id: order.slot.job_id, share: run.share_key(), micros }
}

/// What to do instead of reserving, where others have waited longer for what is there.
pub(super) async fn before(
    ctx: &Context,
    run: &Run,
    order: &Order,
    estimate: Micros,
) -> Result<Option<Done>, Failure> {
    let mut conn = ctx.read().await?;
    let place = budgets::place(&mut conn, &wish(run, order, estimate)).await?;
    drop(conn);
    Ok(match place {
        Place::Try => None,
        Place::Behind => {
            let why = format!("others have waited longer for money than these {estimate}");
            Some(wait(ctx, run, order, estimate, Parked { what: "budget", why, until: None }).await?)
        }
    })
}

/// Waits until the period turns, a limit is raised or the stop is lifted.
pub(super) async fn lacking(
    ctx: &Context,
    run: &Run,
    order: &Order,
    estimate: Micros,
    decision: Decision,
) -> Result<Done, Failure> {
    let (why, until) = match decision {
        Decision::Short(short) => {
            (shortage(estimate, &short), short.iter().filter_map(|one| one.turns_at).max())
        }
        Decision::Stopped { why } => (format!("spending is stopped: {why}"), None),
        Decision::Held => return Err(Failure::retry("bad_state", "the money was held after all")),
    };
    wait(ctx, run, order, estimate, Parked { what: "budget", why, until }).await
}

async fn wait(
    ctx: &Context,
    run: &Run,
    order: &Order,
    estimate: Micros,
    parked: Parked,
) -> Result<Done, Failure> {
    let job_id = order.slot.job_id;
    tracing::info!(job_id, estimate_micros = estimate.0, why = parked.why, "waits for money");
    let mut tx = ctx.pool.begin().await?;
    let state = jobs::lock(&mut tx, job_id).await?;
    if state.is_final() || cancellation::requested_at(&mut tx, job_id).await?.is_some() {
        return Ok(Outcome::Cancel { why: format!("the job is {state}") }.into());
    }
    jobs::park(&mut tx, job_id, Some(&parked)).await?;
    budgets::wait(&mut tx, &wish(run, order, estimate)).await?;
    // A turn that cannot be paid for is another's.
    line::leave(&mut tx, &order.model.provider, run.task_id().0).await?;
    let spread = LOOK_AGAIN.mul_f64((run.task_id().0.unsigned_abs() % 64) as f64 / 64.0);
    crash_point!(MoneyWaitUncommitted);
    let done = run.commit(tx, park(LOOK_AGAIN + spread, parked.why)).await?;
    crash_point!(MoneyWaitRecorded);
    Ok(done)
}

/// One sentence: "$1.60 would pass the daily limit of $150.00 by $0.40".
fn shortage(estimate: Micros, short: &[Shortfall]) -> String {
    let limits: Vec<String> = short
        .iter()
        .map(|one| {
            let whose = match &one.scope {
                Scope::All => String::new(),
                scope => format!(" of {} {}", scope.word(), scope.key()),
            };
            format!("the {} limit{whose} of {} by {}", one.period.adjective(), one.hard, one.missing)
        })
        .collect();
    format!("{estimate} would pass {}", limits.join(" and "))
}
