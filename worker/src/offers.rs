//! Offers money to those who wait for it, so that no wake depends on who raises a limit: calls that cost less than was held, and
//! periods that turn, leave some, too.

use spool_db::budgets;
use spool_queue::{Bell, TaskId, control};
use sqlx::PgPool;
use std::error::Error;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(2);

/// Starts it; it ends with `stop`.
pub(crate) fn start(pool: PgPool, stop: CancellationToken) {
    tokio::spawn(async move {
        loop {
            if let Err(error) = look(&pool).await {
                tracing::warn!(error = &*error, "could not offer money to those who wait");
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    });
}

async fn look(pool: &PgPool) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut tx = pool.begin().await?;
    let mut bell = Bell::silent();
    for task in budgets::offer_while_spending(&mut tx).await? {
        bell.merge(control::wake(&mut tx, TaskId(task)).await?.bell);
    }
    tx.commit().await?;
    bell.ring(pool).await;
    Ok(())
}
