//! The job's own history: one row per visible change, in the transaction of the change.

use crate::error::{DbError, Doing};
use serde_json::Value;
use sqlx::PgConnection;

/// Appends an event. The job's row must be locked by this transaction, so `seq` has no gaps.
pub async fn append(conn: &mut PgConnection, job_id: i64, kind: &str, data: &Value) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO job_events (job_id, seq, type, data)
         SELECT $1, COALESCE(max(seq), 0) + 1, $2, $3 FROM job_events WHERE job_id = $1",
        job_id,
        kind,
        data,
    )
    .execute(conn)
    .await
    .doing("append a job event")?;
    Ok(())
}
