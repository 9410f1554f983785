//! Buying one output and waiting for it: the machine that `render` and `music` share.
//!
//! Each run of the task moves the prediction by one change of state, committed together with the
//! task's own fate (usually: parked until the next look). Whatever kills the process between two
//! changes, the next run finds the row and goes on from it; the only state from which a POST may
//! follow is "no row stands".

pub(crate) mod doubt;
mod mark;
mod memo;
mod money;
mod order;
pub(crate) mod orphan;
mod overdue;
mod pace;
mod poll;
mod price;
pub(crate) mod recall;
mod resolve;
mod submit;
mod turn;

pub(crate) use order::Order;
pub(crate) use pace::Pace;

use crate::context::Context;
use crate::crash::crash_point;
use spool_db::predictions::{self, PredictionRow};
use spool_job::prediction::PredictionState;
use spool_queue::{Done, Failure, Outcome, ParkUntil, Run};
use std::time::Duration;

/// How long an undecidable prediction rests between looks; a webhook wakes it at once.
const IN_DOUBT_REST: Duration = Duration::from_secs(300);

/// Moves the order's prediction one step further.
pub(crate) async fn advance(ctx: &Context, run: &Run, order: &Order) -> Result<Done, Failure> {
    let mut conn = ctx.read().await?;
    let standing = predictions::standing(&mut conn, order.slot).await?;
    drop(conn);
    crash_point!(StandingRead);
    let Some(row) = standing else {
        return match memo::reuse(ctx, run, order).await? {
            Some(done) => Ok(done),
            None => submit::submit(ctx, run, order).await,
        };
    };
    match row.state {
        PredictionState::Intent => submit::lost(ctx, run, &row).await,
        PredictionState::Unknown => resolve::resolve(ctx, run, order, &row).await,
        PredictionState::Submitted => poll::poll(ctx, run, order, &row).await,
        PredictionState::Succeeded => poll::bought_before(ctx, run, &row).await,
        PredictionState::InDoubt => doubt::look(ctx, run, order, &row).await,
        final_state => {
            Err(Failure::fail("bad_state", format!("prediction {} stands as {final_state}", row.id)))
        }
    }
}

fn park(wait: Duration, why: impl Into<String>) -> Outcome {
    Outcome::Park { until: ParkUntil::In(wait), why: why.into() }
}

/// The provider's id, which every submitted row has.
fn external_id(row: &PredictionRow) -> Result<&str, Failure> {
    row.external_id.as_deref().ok_or_else(|| {
        Failure::fail("bad_state", format!("prediction {} is {} without an id", row.id, row.state))
    })
}
