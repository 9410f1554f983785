//! What the task of a delivery reads and writes. Locks are taken in one order: delivery, endpoint, share and task of the queue.

use crate::error::{DbError, Doing};
use crate::hooks::endpoints::Sealed;
use serde_json::Value;
use sqlx::PgConnection;
use std::time::Duration;
use uuid::Uuid;

/// A delivery whose turn has come.
#[derive(Debug, Clone)]
pub struct Due {
    /// Whom it is for.
    pub endpoint_id: Uuid,
    /// Where to.
    pub url: String,
    /// Whether the endpoint is told anything.
    pub enabled: bool,
    /// What signs.
    pub secret: Sealed,
    /// What signs beside it, for a while.
    pub former: Option<Sealed>,
    /// The kind of event.
    pub event: String,
    /// The body.
    pub payload: Value,
    /// Whether it is neither delivered nor given up.
    pub pending: bool,
    /// Failed tries since it was last sent on its way.
    pub tries: i32,
}

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answered {
    /// The answer's status, if there was an answer.
    pub status: Option<u16>,
    /// How long it took.
    pub took: Duration,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// The first bytes of the answer.
    pub answer: Option<String>,
}

/// Reads a delivery and its endpoint, and locks the delivery. `None` when the endpoint is gone.
pub async fn due(conn: &mut PgConnection, id: Uuid) -> Result<Option<Due>, DbError> {
    let row = sqlx::query!(
        r#"SELECT d.endpoint_id, d.event, d.payload, d.state = 'pending' AS "pending!", d.tries, e.url, e.enabled,
                  e.secret_salt, e.secret_digest, CASE WHEN e.former_until > now() THEN e.former_salt END AS former_salt,
                  CASE WHEN e.former_until > now() THEN e.former_digest END AS former_digest
           FROM hook_deliveries d JOIN hook_endpoints e ON e.id = d.endpoint_id
           WHERE d.id = $1 FOR UPDATE OF d"#,
        id
    )
    .fetch_optional(conn)
    .await
    .doing("read a webhook that is due")?;
    Ok(row.map(|row| Due {
        endpoint_id: row.endpoint_id,
        url: row.url,
        enabled: row.enabled,
        secret: Sealed { salt: row.secret_salt, digest: row.secret_digest },
        former: row.former_salt.zip(row.former_digest).map(|(salt, digest)| Sealed { salt, digest }),
        event: row.event,
        payload: row.payload,
        pending: row.pending,
        tries: row.tries,
    }))
}

/// Writes down that a try begins, and says which it is. One that never ended was made by a process that died: nobody knows whether
/// it got through.
pub async fn begin(conn: &mut PgConnection, id: Uuid, lease_token: i64) -> Result<i32, DbError> {
    const DOING: &str = "begin to send a webhook";
    sqlx::query!(
        "UPDATE hook_attempts SET ended_at = now(), error = 'the worker died before it knew the answer'
         WHERE delivery_id = $1 AND ended_at IS NULL",
        id
    )
    .execute(&mut *conn)
    .await
    .doing(DOING)?;
    sqlx::query_scalar!(
        "WITH counted AS (UPDATE hook_deliveries SET attempts = attempts + 1 WHERE id = $1 RETURNING attempts)
         INSERT INTO hook_attempts (delivery_id, number, lease_token) SELECT $1, attempts, $2 FROM counted RETURNING number",
        id,
        lease_token,
    )
    .fetch_one(conn)
    .await
    .doing(DOING)
}

/// What becomes of the delivery after a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It got through.
    Delivered,
    /// It is tried again after this long.
    Again(Duration),
    /// It is given up.
    GivenUp,
}

/// Writes down what came of a try, and what becomes of the delivery.
pub async fn answered(
    conn: &mut PgConnection,
    id: Uuid,
    number: i32,
    answered: &Answered,
    next: Next,
) -> Result<(), DbError> {
    const DOING: &str = "record the answer to a webhook";
    let (state, again_s) = match next {
        Next::Delivered => ("delivered", None),
        Next::Again(after) => ("pending", Some(after.as_secs_f64())),
        Next::GivenUp => ("failed", None),
    };
    let status = answered.status.map(i32::from);
    sqlx::query!(
        "UPDATE hook_deliveries SET state = $2, tries = CASE WHEN $2 = 'delivered' THEN tries ELSE tries + 1 END, status = $4, error = $5,
                next_at = now() + $3::double precision * interval '1 second', ended_at = CASE WHEN $2 <> 'pending' THEN now() END
         WHERE id = $1",
        id,
        state,
        again_s,
        status,
        answered.error,
    )
    .execute(&mut *conn)
    .await
    .doing(DOING)?;
    sqlx::query!(
        "UPDATE hook_attempts SET ended_at = now(), status = $3, latency_ms = $4, error = $5, answer = $6
         WHERE delivery_id = $1 AND number = $2",
        id,
        number,
        status,
        i32::try_from(answered.took.as_millis()).unwrap_or(i32::MAX),
        answered.error,
        answered.answer,
    )
    .execute(conn)
    .await
    .doing(DOING)?;
    Ok(())
}

/// Gives a delivery up without another try.
pub async fn give_up(conn: &mut PgConnection, id: Uuid, why: &str) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE hook_deliveries SET state = 'failed', error = $2, next_at = NULL, ended_at = now() WHERE id = $1 AND state = 'pending'",
        id,
        why
    )
    .execute(conn)
    .await
    .doing("give a webhook up")?;
    Ok(())
}

/// Something got through to the endpoint. Says whether that is news.
pub async fn works(conn: &mut PgConnection, endpoint: Uuid) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "UPDATE hook_endpoints SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL",
        endpoint
    )
    .execute(conn)
    .await
    .doing("note that a webhook endpoint works")?;
    Ok(done.rows_affected() == 1)
}

/// Something did not get through. Says whether that is news.
pub async fn fails(conn: &mut PgConnection, endpoint: Uuid) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "UPDATE hook_endpoints SET failing_since = now() WHERE id = $1 AND failing_since IS NULL",
        endpoint
    )
    .execute(conn)
    .await
    .doing("note that a webhook endpoint fails")?;
    Ok(done.rows_affected() == 1)
}

/// The endpoint says that it is gone. Says whether it was told anything until now.
pub async fn gone(conn: &mut PgConnection, endpoint: Uuid) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "UPDATE hook_endpoints SET enabled = false, disabled_at = now(), disabled_why = 'gone', updated_at = now()
         WHERE id = $1 AND enabled",
        endpoint
    )
    .execute(conn)
    .await
    .doing("disable a webhook endpoint that is gone")?;
    Ok(done.rows_affected() == 1)
}

/// Disables an endpoint that nothing has reached for this long. Says whether it did.
pub async fn fails_for(conn: &mut PgConnection, endpoint: Uuid, patience: Duration) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "UPDATE hook_endpoints SET enabled = false, disabled_at = now(), disabled_why = 'failing', updated_at = now()
         WHERE id = $1 AND enabled AND failing_since < now() - $2::double precision * interval '1 second'",
        endpoint,
        patience.as_secs_f64(),
    )
    .execute(conn)
    .await
    .doing("disable a webhook endpoint that fails")?;
    Ok(done.rows_affected() == 1)
}
