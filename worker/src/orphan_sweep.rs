//! The sweep for orphans recurs by a schedule of the queue: one task at a time in the whole fleet, whichever worker takes it.

use spool_job::tasks::{PAYLOAD_VERSION, TaskKind};
use spool_queue::NewTask;
use spool_queue::schedule::{self, Missed, Schedule};
use sqlx::PgPool;
use std::error::Error;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Name of the schedule.
const NAME: &str = "orphans";
/// Rest before it is tried again: the database may be away when a worker starts.
const AGAIN: Duration = Duration::from_secs(5);

/// Puts the schedule as it should be, as soon as the database can be reached; one that is unchanged goes on as it was.
pub(crate) fn keep(pool: PgPool, every: Duration, stop: CancellationToken) {
    tokio::spawn(async move {
        while let Err(error) = put(&pool, every).await {
            tracing::warn!(error = &*error as &dyn Error, "the sweep for orphans is not scheduled yet");
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = stop.cancelled() => return,
            }
        }
    });
}

async fn put(pool: &PgPool, every: Duration) -> Result<(), Box<dyn Error + Send + Sync>> {
    let sweep = NewTask::new(TaskKind::Orphans.as_str(), TaskKind::Orphans.queue(), PAYLOAD_VERSION, &());
    let schedule = Schedule::every(NAME, every, sweep)?.missed(Missed::Skip).no_overlap();
    let mut tx = pool.begin().await?;
    schedule::put(&mut tx, schedule).await?;
    Ok(tx.commit().await?)
}
