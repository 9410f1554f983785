//! Idempotency keys are forgotten after a day: their rows are removed now and then. Whether they are gone makes no difference.

use std::time::Duration;

use spool_db::idempotency;
use tokio_util::sync::CancellationToken;

use crate::database::{Database, commit};
use crate::error::ApiError;

const PERIOD: Duration = Duration::from_secs(600);
/// Rows of one transaction.
const BATCH: i64 = 1000;

/// Removes old ones until `stop`. Several processes do not get into each other's way.
pub async fn keep(db: Database, stop: CancellationToken) {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        if let Some(Err(error)) = stop.run_until_cancelled(sweep(&db)).await {
            tracing::warn!(error = error.detail(), "old idempotency keys are still there");
        }
    }
}

/// Removes all old ones.
pub async fn sweep(db: &Database) -> Result<(), ApiError> {
    loop {
        let mut transaction = db.begin().await?;
        let gone = idempotency::sweep(&mut transaction, BATCH).await?;
        commit(transaction).await?;
        if gone < BATCH.unsigned_abs() {
            return Ok(());
        }
    }
}
