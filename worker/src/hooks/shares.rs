//! How endpoints share the workers: each is a share of the queue, so that one that hangs holds its own few places and nobody else's.

use spool_job::tasks::TaskKind;
use spool_queue::ControlError;
use spool_queue::limits::{self, Limits, Share};
use sqlx::PgConnection;
use uuid::Uuid;

/// Webhooks that are on their way to one endpoint at the same time, from all workers together.
const AT_ONCE: u32 = 4;
/// The same while nothing reaches it: one to see whether that is over.
const AT_ONCE_WHILE_FAILING: u32 = 1;

/// Puts limits on the queue. Those that it has stay: an operator may have set them.
pub(crate) async fn limit(conn: &mut PgConnection) -> Result<(), ControlError> {
    let queue = TaskKind::Deliver.queue();
    if limits::get(conn, queue).await? == Limits::default() {
        let usual = Limits { max_running_per_share: Some(AT_ONCE), fair: true, ..Limits::default() };
        limits::set(conn, queue, &usual).await?;
    }
    Ok(())
}

/// Nothing reaches the endpoint.
pub(crate) async fn slow_down(conn: &mut PgConnection, endpoint: Uuid) -> Result<(), ControlError> {
    set(conn, endpoint, Some(AT_ONCE_WHILE_FAILING)).await
}

/// Something has reached it again.
pub(crate) async fn speed_up(conn: &mut PgConnection, endpoint: Uuid) -> Result<(), ControlError> {
    set(conn, endpoint, None).await
}

async fn set(conn: &mut PgConnection, endpoint: Uuid, max_running: Option<u32>) -> Result<(), ControlError> {
    let share = Share { max_running, ..Share::default() };
    limits::set_share(conn, TaskKind::Deliver.queue(), &endpoint.to_string(), share).await
}
