//! Jobs that are put away: nobody sees them any more. Money, purchases, events and what was made stay, for the ledger names them.

use crate::error::{DbError, Doing};
use crate::events;
use serde_json::json;
use spool_job::state::{JobState, UnknownName};
use sqlx::PgConnection;
use uuid::Uuid;

/// What became of the wish to put a job away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// Nobody sees it any more.
    Deleted,
    /// It has not ended.
    Live(JobState),
    /// There is no such job (for this owner).
    Unknown,
}

/// Puts a job away that has ended. `by` is the id of a key.
pub async fn delete(
    conn: &mut PgConnection,
    id: i64,
    owner: Option<Uuid>,
    by: &str,
) -> Result<Deletion, DbError> {
    const DOING: &str = "delete the job";
    let state = sqlx::query_scalar!(
        "SELECT state FROM jobs WHERE id = $1 AND deleted_at IS NULL AND ($2::uuid IS NULL OR client_id = $2) FOR UPDATE",
        id,
        owner
    )
    .fetch_optional(&mut *conn)
    .await
    .doing(DOING)?;
    let Some(state) = state else { return Ok(Deletion::Unknown) };
    let state: JobState = state.parse().map_err(|error: UnknownName| DbError::Unreadable {
        operation: DOING,
        what: format!("job {id}: {error}"),
    })?;
    if !state.is_final() {
        return Ok(Deletion::Live(state));
    }
    sqlx::query!(
        "UPDATE jobs SET deleted_at = now(), deleted_by = $2, version = version + 1, updated_at = now() WHERE id = $1",
        id,
        by
    )
    .execute(&mut *conn)
    .await
    .doing(DOING)?;
    events::append(conn, id, "deleted", &json!({"state": state, "by": by})).await?;
    Ok(Deletion::Deleted)
}
