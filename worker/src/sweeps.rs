//! Sweeps recur by schedules of the queue: one task of a kind at a time in the whole fleet, whichever worker takes it.

use spool_job::tasks::{PAYLOAD_VERSION, TaskKind};
use spool_queue::NewTask;
use spool_queue::schedule::{self, Missed, Schedule};
use sqlx::PgPool;
use std::error::Error;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Rest before it is tried again: the database may be away when a worker starts.
const AGAIN: Duration = Duration::from_secs(5);

/// Puts the schedule of a kind as it should be, as soon as the database can be reached; one that is unchanged goes on as it was.
pub(crate) fn keep(pool: PgPool, kind: TaskKind, every: Duration, stop: CancellationToken) {
    tokio::spawn(async move {
        while let Err(error) = put(&pool, kind, every).await {
            tracing::warn!(
                kind = kind.as_str(),
                error = &*error as &dyn Error,
                "a sweep is not scheduled yet"
            );
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = stop.cancelled() => return,
            }
        }
    });
}

async fn put(pool: &PgPool, kind: TaskKind, every: Duration) -> Result<(), Box<dyn Error + Send + Sync>> {
    let sweep = NewTask::new(kind.as_str(), kind.queue(), PAYLOAD_VERSION, &());
    let schedule = Schedule::every(kind.as_str(), every, sweep)?.missed(Missed::Skip).no_overlap();
    let mut tx = pool.begin().await?;
    schedule::put(&mut tx, schedule).await?;
    Ok(tx.commit().await?)
}
