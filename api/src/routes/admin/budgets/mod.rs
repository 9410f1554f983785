//! `/admin/budgets`: what may be spent, and the emergency stop.

pub mod body;
pub mod list;
pub mod remove;
pub mod set;
pub mod stop;

use spool_db::budgets;
use spool_queue::{Bell, TaskId, control};
use sqlx::PgConnection;

use crate::error::ApiError;

/// There may be money now: it is offered to those who wait for some, in fair order.
async fn wake_all(conn: &mut PgConnection) -> Result<Bell, ApiError> {
    let mut bell = Bell::silent();
    for task in budgets::offer(conn).await? {
        bell.merge(control::wake(conn, TaskId(task)).await.map_err(ApiError::internal)?.bell);
    }
    Ok(bell)
}
