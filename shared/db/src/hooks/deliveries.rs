//! What endpoints were told, or are to be told, and the log of it.

use crate::error::{DbError, Doing};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// One event for one endpoint.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Sent as `webhook-id`, the same in every try.
    pub id: Uuid,
    /// Its place in lists.
    pub place: i64,
    /// Whom it is for.
    pub endpoint_id: Uuid,
    /// The kind of event.
    pub event: String,
    /// The job that it tells of.
    pub job_id: Option<i64>,
    /// The body.
    pub payload: Value,
    /// `pending`, `delivered` or `failed`.
    pub state: String,
    /// Tries so far.
    pub attempts: i32,
    /// When the next one is due.
    pub next_at: Option<DateTime<Utc>>,
    /// What the last one was answered.
    pub status: Option<i32>,
    /// Why the last one failed.
    pub error: Option<String>,
    /// When it happened.
    pub created_at: DateTime<Utc>,
    /// When it was delivered or given up.
    pub ended_at: Option<DateTime<Utc>>,
}

/// One try.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Counts up from 1.
    pub number: i32,
    /// When it began.
    pub begun_at: DateTime<Utc>,
    /// When it ended; none while it is under way.
    pub ended_at: Option<DateTime<Utc>>,
    /// What it was answered.
    pub status: Option<i32>,
    /// How long that took.
    pub latency_ms: Option<i32>,
    /// Why it failed.
    pub error: Option<String>,
    /// The first bytes of the answer.
    pub answer: Option<String>,
}

/// Which deliveries to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only of this client's endpoints.
    pub owner: Option<Uuid>,
    /// Only for this endpoint.
    pub endpoint: Option<Uuid>,
    /// Only in this state.
    pub state: Option<String>,
    /// Only of this kind.
    pub event: Option<String>,
    /// Only about this job.
    pub job: Option<i64>,
    /// Only those with a smaller place: the next page.
    pub before: Option<i64>,
}

/// At most `limit` deliveries, newest first.
pub async fn list(conn: &mut PgConnection, filter: &Filter, limit: i64) -> Result<Vec<Delivery>, DbError> {
    sqlx::query_as!(
        Delivery,
        "SELECT d.id, d.place, d.endpoint_id, d.event, d.job_id, d.payload, d.state, d.attempts, d.next_at, d.status, d.error,
                d.created_at, d.ended_at
         FROM hook_deliveries d JOIN hook_endpoints e ON e.id = d.endpoint_id
         WHERE ($1::uuid IS NULL OR e.client_id = $1) AND ($2::uuid IS NULL OR d.endpoint_id = $2)
           AND ($3::text IS NULL OR d.state = $3) AND ($4::text IS NULL OR d.event = $4)
           AND ($5::bigint IS NULL OR d.job_id = $5) AND ($6::bigint IS NULL OR d.place < $6)
         ORDER BY d.place DESC LIMIT $7",
        filter.owner,
        filter.endpoint,
        filter.state,
        filter.event,
        filter.job,
        filter.before,
        limit,
    )
    .fetch_all(conn)
    .await
    .doing("list the webhook deliveries")
}

/// One delivery.
pub async fn find(
    conn: &mut PgConnection,
    id: Uuid,
    owner: Option<Uuid>,
) -> Result<Option<Delivery>, DbError> {
    sqlx::query_as!(
        Delivery,
        "SELECT d.id, d.place, d.endpoint_id, d.event, d.job_id, d.payload, d.state, d.attempts, d.next_at, d.status, d.error,
                d.created_at, d.ended_at
         FROM hook_deliveries d JOIN hook_endpoints e ON e.id = d.endpoint_id
         WHERE d.id = $1 AND ($2::uuid IS NULL OR e.client_id = $2)",
        id,
        owner,
    )
    .fetch_optional(conn)
    .await
    .doing("load the webhook delivery")
}

/// The newest tries of a delivery, the last one first.
pub async fn attempts(conn: &mut PgConnection, id: Uuid, limit: i64) -> Result<Vec<Attempt>, DbError> {
    sqlx::query_as!(
        Attempt,
        "SELECT number, begun_at, ended_at, status, latency_ms, error, answer FROM hook_attempts
         WHERE delivery_id = $1 ORDER BY number DESC LIMIT $2",
        id,
        limit,
    )
    .fetch_all(conn)
    .await
    .doing("list the tries of a webhook delivery")
}

/// Writes a delivery with its task, beside those that the database writes by itself.
pub async fn send(
    conn: &mut PgConnection,
    endpoint: Uuid,
    event: &str,
    data: &Value,
) -> Result<Uuid, DbError> {
    sqlx::query_scalar!(r#"SELECT hook_send($1, $2, now(), NULL, NULL, $3) AS "id!""#, endpoint, event, data)
        .fetch_one(conn)
        .await
        .doing("write a webhook delivery")
}

/// What became of the wish to send something again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// It is due now; the caller enqueues its task, or wakes it.
    Due {
        /// Whom it is for.
        endpoint_id: Uuid,
    },
    /// Its endpoint is told nothing.
    Disabled {
        /// Which that is.
        endpoint_id: Uuid,
    },
    /// There is no such delivery (for this owner).
    Unknown,
}

/// Makes a delivery due now, with all its tries before it. Its row stays locked.
pub async fn resend(conn: &mut PgConnection, id: Uuid, owner: Option<Uuid>) -> Result<Resend, DbError> {
    const DOING: &str = "send a webhook again";
    let Some(row) = sqlx::query!(
        "SELECT d.endpoint_id, e.enabled FROM hook_deliveries d JOIN hook_endpoints e ON e.id = d.endpoint_id
         WHERE d.id = $1 AND ($2::uuid IS NULL OR e.client_id = $2) FOR UPDATE OF d",
        id,
        owner,
    )
    .fetch_optional(&mut *conn)
    .await
    .doing(DOING)?
    else {
        return Ok(Resend::Unknown);
    };
    if !row.enabled {
        return Ok(Resend::Disabled { endpoint_id: row.endpoint_id });
    }
    sqlx::query!(
        "UPDATE hook_deliveries SET state = 'pending', tries = 0, next_at = now(), ended_at = NULL WHERE id = $1",
        id
    )
    .execute(conn)
    .await
    .doing(DOING)?;
    Ok(Resend::Due { endpoint_id: row.endpoint_id })
}

/// Makes what an endpoint was not told due now: failed deliveries since then, the oldest first. The caller enqueues their tasks.
pub async fn resend_failed(
    conn: &mut PgConnection,
    endpoint: Uuid,
    since: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Uuid>, DbError> {
    sqlx::query_scalar!(
        "UPDATE hook_deliveries SET state = 'pending', tries = 0, next_at = now(), ended_at = NULL
         WHERE id IN (SELECT id FROM hook_deliveries
                      WHERE endpoint_id = $1 AND state = 'failed' AND created_at >= $2 ORDER BY place LIMIT $3 FOR UPDATE)
         RETURNING id",
        endpoint,
        since,
        limit,
    )
    .fetch_all(conn)
    .await
    .doing("send failed webhooks again")
}

/// How many deliveries of an endpoint have failed since then.
pub async fn failed(conn: &mut PgConnection, endpoint: Uuid, since: DateTime<Utc>) -> Result<i64, DbError> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM hook_deliveries WHERE endpoint_id = $1 AND state = 'failed' AND created_at >= $2"#,
        endpoint,
        since,
    )
    .fetch_one(conn)
    .await
    .doing("count failed webhooks")
}
