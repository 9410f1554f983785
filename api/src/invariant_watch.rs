//! What must always hold: whichever API process finds the last look a minute old takes the next one, for all. What it found is among the
//! figures of `/metrics`; whoever finds something says so in its log.

use std::error::Error;
use std::time::Duration;

use spool_db::error::DbError;
use spool_explain::ExplainError;
use spool_explain::invariants::{self, ALL};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// How often each process asks whether a look is due.
const PERIOD: Duration = Duration::from_secs(15);
/// Rows that the log names of each.
const EXAMPLES: usize = 5;

/// Takes the looks that are due, until `stop`.
pub async fn keep(pool: PgPool, stop: CancellationToken) {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        match stop.run_until_cancelled(look(&pool)).await {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::warn!(error = &error as &dyn Error, "the invariants cannot be looked at");
            }
            None => return,
        }
    }
}

/// Takes a look if it is due.
pub async fn look(pool: &PgPool) -> Result<(), ExplainError> {
    let mut tx = pool.begin().await.map_err(lost)?;
    let found = invariants::round(&mut tx).await?;
    tx.commit().await.map_err(lost)?;
    // Once for the fleet: whoever has found it says so.
    let Some(found) = found else { return Ok(()) };
    for one in ALL {
        if let Some(rows) = found.get(one.name) {
            let examples = rows.iter().take(EXAMPLES).map(String::as_str).collect::<Vec<_>>().join(", ");
            tracing::error!(
                invariant = one.name,
                count = rows.len(),
                examples,
                "{}; `spool doctor` says what to do",
                one.broken
            );
        }
    }
    Ok(())
}

fn lost(source: sqlx::Error) -> ExplainError {
    ExplainError::Db(DbError::Query { operation: "look at the invariants", source })
}
