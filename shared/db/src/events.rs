//! The job's own history: one row per visible change, in the transaction of the change.

use crate::error::{DbError, Doing};
use chrono::{DateTime, Utc};
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

/// Something that happened to a job.
#[derive(Debug, Clone)]
pub struct JobEvent {
    /// Counts up per job, from 1, without gaps.
    pub seq: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// One word, such as `approved`.
    pub kind: String,
    /// Where the job stood (`state`, `stage`, `percent`) and what the word is about.
    pub data: Value,
}

/// What happened after event `seq`, in order, at most `limit` of it.
pub async fn after(
    conn: &mut PgConnection,
    job_id: i64,
    seq: i64,
    limit: i64,
) -> Result<Vec<JobEvent>, DbError> {
    sqlx::query_as!(
        JobEvent,
        "SELECT seq, at, type AS kind, data FROM job_events WHERE job_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        job_id,
        seq,
        limit,
    )
    .fetch_all(conn)
    .await
    .doing("read the events of a job")
}

/// How many events of this kind the job has had.
pub async fn count(conn: &mut PgConnection, job_id: i64, kind: &str) -> Result<i64, DbError> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM job_events WHERE job_id = $1 AND type = $2"#,
        job_id,
        kind
    )
    .fetch_one(conn)
    .await
    .doing("count the events of a job")
}
