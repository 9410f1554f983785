//! Which request a job's tasks were last enqueued for.

use crate::error::{DbError, Doing};
use spool_job::origin::Origin;
use sqlx::PgConnection;

/// Notes the request for which the job's tasks are enqueued; says under which span the earlier ones belong, if there were any.
pub async fn note(
    conn: &mut PgConnection,
    job_id: i64,
    origin: Option<&Origin>,
) -> Result<Option<String>, DbError> {
    let earlier = sqlx::query_scalar!(
        "UPDATE jobs j SET request_id = $2, trace_parent = $3 FROM jobs earlier WHERE j.id = $1 AND earlier.id = $1
         RETURNING earlier.trace_parent",
        job_id,
        origin.map(|origin| origin.request_id.as_str()),
        origin.and_then(|origin| origin.trace_parent.as_deref()),
    )
    .fetch_optional(conn)
    .await
    .doing("note the request that a job is made for")?;
    Ok(earlier.flatten())
}
