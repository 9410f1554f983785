//! Gives turns while somebody waits for some, so that no wake depends on who happens to come by.

use spool_db::limits::line;
use spool_db::limits::plan::Turn;
use spool_queue::{Bell, TaskId, control};
use sqlx::{PgConnection, PgPool};
use std::error::Error;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// While there is a line.
const BUSY: Duration = Duration::from_millis(800);
/// While there is none.
const IDLE: Duration = Duration::from_secs(3);

/// Starts it; it ends with `stop`.
pub(crate) fn start(pool: PgPool, stop: CancellationToken) {
    tokio::spawn(async move {
        loop {
            let busy = look(&pool).await.unwrap_or_else(|error| {
                tracing::warn!(error = &*error, "could not give turns");
                false
            });
            tokio::select! {
                () = tokio::time::sleep(if busy { BUSY } else { IDLE }) => {}
                () = stop.cancelled() => return,
            }
        }
    });
}

/// Gives turns in every line; says whether there is one.
async fn look(pool: &PgPool) -> Result<bool, Box<dyn Error + Send + Sync>> {
    let mut tx = pool.begin().await?;
    let providers = line::providers_waited_for(&mut tx).await?;
    tx.commit().await?;
    for provider in &providers {
        let mut tx = pool.begin().await?;
        let given = line::give_turns(&mut tx, provider).await?;
        let bell = put_off(&mut tx, &given).await?;
        tx.commit().await?;
        bell.ring(pool).await;
    }
    Ok(!providers.is_empty())
}

/// Each task sleeps until its own turn: nobody wakes in vain, and no two at once.
pub(crate) async fn put_off(
    conn: &mut PgConnection,
    turns: &[Turn],
) -> Result<Bell, Box<dyn Error + Send + Sync>> {
    let mut bell = Bell::silent();
    // Tasks are locked in the order of their ids by all who lock many.
    let mut turns: Vec<&Turn> = turns.iter().collect();
    turns.sort_unstable_by_key(|turn| turn.task);
    for turn in turns {
        bell.merge(control::snooze(conn, TaskId(turn.task), turn.at).await?.bell);
    }
    Ok(bell)
}
