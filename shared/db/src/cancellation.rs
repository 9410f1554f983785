//! Jobs that are called off: at once while nothing runs, else as soon as nothing of them holds money.

use crate::error::{DbError, Doing};
use crate::jobs::{self, Conclusion};
use crate::progress;
use chrono::{DateTime, Utc};
use serde_json::json;
use spool_job::state::JobState;
use sqlx::PgConnection;
use uuid::Uuid;

/// What became of the wish to call a job off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancellation {
    /// Nothing of it had begun: it is canceled.
    Ended,
    /// It is being wound up. The caller cancels its tasks and hands what is bought to `recall` in the same transaction.
    Requested {
        /// Where it stands until then.
        state: JobState,
    },
    /// It has ended before.
    Final(JobState),
    /// There is no such job (for this owner).
    Unknown,
}

/// Calls a job off; saying it twice is saying it once. `by` is the id of a key.
pub async fn request(
    conn: &mut PgConnection,
    job_id: i64,
    owner: Option<Uuid>,
    by: &str,
) -> Result<Cancellation, DbError> {
    const DOING: &str = "cancel the job";
    let Some(row) = sqlx::query!(
        r#"SELECT state, cancel_requested_at IS NOT NULL AS "asked!" FROM jobs
           WHERE id = $1 AND deleted_at IS NULL AND ($2::uuid IS NULL OR client_id = $2) FOR UPDATE"#,
        job_id,
        owner,
    )
    .fetch_optional(&mut *conn)
    .await
    .doing(DOING)?
    else {
        return Ok(Cancellation::Unknown);
    };
    let state: JobState = row
        .state
        .parse()
        .map_err(|error| DbError::Unreadable { operation: DOING, what: format!("job {job_id}: {error}") })?;
    if state.is_final() {
        return Ok(Cancellation::Final(state));
    }
    if !row.asked {
        sqlx::query!(
            "UPDATE jobs SET cancel_requested_at = now(), cancel_requested_by = $2 WHERE id = $1",
            job_id,
            by
        )
        .execute(&mut *conn)
        .await
        .doing(DOING)?;
    }
    // Before its approval a job has no tasks and has bought nothing.
    if state == JobState::Pending {
        jobs::conclude(conn, job_id, &Conclusion::Canceled).await?;
        return Ok(Cancellation::Ended);
    }
    // Turns and money are for those who still want them.
    crate::budgets::job_waits_no_more(conn, job_id).await?;
    crate::limits::line::job_waits_no_more(conn, job_id).await?;
    if !row.asked {
        progress::refresh(conn, job_id, "cancel_requested", &json!({"by": by})).await?;
    }
    Ok(Cancellation::Requested { state })
}

/// When somebody called the job off, if anybody did.
pub async fn requested_at(conn: &mut PgConnection, job_id: i64) -> Result<Option<DateTime<Utc>>, DbError> {
    let at = sqlx::query_scalar!("SELECT cancel_requested_at FROM jobs WHERE id = $1", job_id)
        .fetch_optional(conn)
        .await
        .doing("look whether the job was called off")?;
    Ok(at.flatten())
}
