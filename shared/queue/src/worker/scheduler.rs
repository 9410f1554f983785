//! Fires schedules when their moment comes. Every worker looks; one at a time fires.

use std::{sync::Arc, time::Duration};

use crate::{
    schedule::{self, Fired, NotFired},
    worker::core::Core,
};

/// A schedule that was put meanwhile is seen within this.
const LONGEST: Duration = Duration::from_secs(5);
/// Somebody else fires what is due; it is looked whether that worked.
const AFTER_OTHERS: Duration = Duration::from_millis(300);
/// A firing that is not done in so long stands still with its connection. Its turn ends with it: see [`schedule::fire_one`].
const PATIENCE: Duration = Duration::from_secs(30);
/// So that many workers do not come at the same moment.
const SPREAD: Duration = Duration::from_millis(50);

pub(crate) async fn run(core: Arc<Core>) {
    loop {
        let pause = match turn(&core).await {
            Ok(pause) => pause,
            Err(error) => {
                core.failed("schedule", &error);
                LONGEST
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause + SPREAD.mul_f64(rand::random())) => {}
            () = core.stopping.cancelled() => return,
        }
    }
}

/// Fires what is due, and says how long there is nothing to do.
async fn turn(core: &Core) -> Result<Duration, sqlx::Error> {
    let mut failed: Vec<String> = Vec::new();
    loop {
        let mut session = core.watch.open().await?;
        let next = schedule::next_in(&mut session).await?;
        session.done().await?;
        match next {
            Some(Duration::ZERO) => {}
            Some(next) => return Ok(next.min(LONGEST)),
            None => return Ok(LONGEST),
        }
        let fired = tokio::time::timeout(PATIENCE, fire(core, &failed)).await;
        match fired.unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut.into())) {
            Ok(Fired::One(bell)) => bell.ring(&core.watch.pool()).await,
            Ok(Fired::NotOurTurn) => return Ok(AFTER_OTHERS),
            Ok(Fired::None) if failed.is_empty() => return Ok(AFTER_OTHERS),
            Ok(Fired::None) => return Ok(LONGEST),
            Err(NotFired { schedule: Some(schedule), error }) => {
                core.failed("schedule", &error);
                failed.push(schedule);
            }
            Err(NotFired { schedule: None, error }) => return Err(error),
        }
        if core.stopping.is_cancelled() {
            return Ok(Duration::ZERO);
        }
    }
}

async fn fire(core: &Core, failed: &[String]) -> Result<Fired, NotFired> {
    let mut tx = core.watch.pool().begin().await?;
    let fired = schedule::fire_one(&mut tx, failed).await?;
    tx.commit().await?;
    Ok(fired)
}
