//! Requests that may be sent again: the row of an `Idempotency-Key` commits with what its request has caused.

use crate::audit::Change;
use crate::error::{DbError, Doing};
use sqlx::PgConnection;
use uuid::Uuid;

const ENTER: &str = "enter the idempotency key";

/// A key as one request uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// Id of the API key that the request came with.
    pub api_key: String,
    /// The caller's word, 1 to 255 characters.
    pub key: String,
    /// This request.
    pub request: Uuid,
    /// SHA-256 of what it asks, lowercase hex.
    pub digest: String,
}

impl Use {
    fn what(&self) -> String {
        format!("key {:?}", self.key)
    }
}

/// An answer as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its HTTP status.
    pub status: u16,
    /// Its `content-type`.
    pub content_type: Option<String>,
    /// Its `location`.
    pub location: Option<String>,
    /// Its body; none where it held a secret.
    pub body: Option<Vec<u8>>,
}

/// What a key was used for until now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// For nothing, or by this very request: until the end of the transaction nobody else gets in.
    Free,
    /// Another request has it.
    Busy,
    /// For another question.
    Other,
    /// For this question, and this was the answer.
    Answered(Stored),
}

/// The function's word for [`Entry::Free`].
pub(crate) const FREE: &str = "free";

impl Entry {
    /// What the function `idempotency_enter` says.
    pub(crate) fn found(
        entry: &str,
        status: Option<i16>,
        content_type: Option<String>,
        location: Option<String>,
        body: Option<Vec<u8>>,
    ) -> Result<Self, DbError> {
        match (entry, status) {
            (FREE, _) => Ok(Self::Free),
            ("busy", _) => Ok(Self::Busy),
            ("other", _) => Ok(Self::Other),
            ("answered", Some(status)) => {
                Ok(Self::Answered(Stored { status: status.unsigned_abs(), content_type, location, body }))
            }
            _ => Err(DbError::Unreadable { operation: ENTER, what: format!("the entry {entry:?}") }),
        }
    }
}

/// Enters a key until the end of the transaction. It waits for nobody.
pub async fn enter(conn: &mut PgConnection, this: &Use) -> Result<Entry, DbError> {
    let row = sqlx::query!(
        r#"SELECT entry AS "entry!", status, content_type, location, body FROM idempotency_enter($1, $2, $3, $4)"#,
        &[this.api_key.as_str()] as &[&str],
        &[this.key.as_str()] as &[&str],
        &[this.request],
        &[this.digest.as_str()] as &[&str],
    )
    .fetch_one(conn)
    .await
    .doing(ENTER)?;
    Entry::found(&row.entry, row.status, row.content_type, row.location, row.body)
}

/// Writes what was answered under a key or, without an answer, that its request has changed something; and who has changed what, where
/// that is not noted yet. It fails when the key has become somebody else's.
pub async fn record(
    conn: &mut PgConnection,
    this: &Use,
    answer: Option<&Stored>,
    change: Option<&Change>,
) -> Result<(), DbError> {
    const DOING: &str = "record the answer under its idempotency key";
    let written = sqlx::query!(
        "WITH noted AS (
             INSERT INTO audit (key_id, client_id, request_id, method, route, path, about)
             SELECT $9, $10, $11, $12, $13, $14, $15 WHERE $9::text IS NOT NULL
         )
         INSERT INTO idempotency_keys AS k (api_key, key, request, digest, status, content_type, location, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (api_key, key) DO UPDATE
         SET request = excluded.request, digest = excluded.digest, status = excluded.status, content_type = excluded.content_type,
             location = excluded.location, body = excluded.body, created_at = now()
         WHERE k.request = excluded.request OR k.created_at <= now() - interval '24 hours'",
        this.api_key,
        this.key,
        this.request,
        this.digest,
        answer.map(|answer| answer.status as i16),
        answer.and_then(|answer| answer.content_type.as_deref()),
        answer.and_then(|answer| answer.location.as_deref()),
        answer.and_then(|answer| answer.body.as_deref()),
        change.map(|change| change.key_id.as_str()),
        change.and_then(|change| change.client_id),
        change.map(|change| change.request_id.as_str()),
        change.map(|change| change.method.as_str()),
        change.map(|change| change.route.as_str()),
        change.map(|change| change.path.as_str()),
        change.map(|change| change.about.clone()),
    )
    .execute(conn)
    .await
    .doing(DOING)?;
    if written.rows_affected() == 1 {
        Ok(())
    } else {
        Err(DbError::Moved { operation: DOING, what: this.what() })
    }
}

/// Removes at most `most` rows that are older than a day; how many it were.
pub async fn sweep(conn: &mut PgConnection, most: i64) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "DELETE FROM idempotency_keys WHERE (api_key, key) IN (
             SELECT api_key, key FROM idempotency_keys WHERE created_at <= now() - interval '24 hours'
             ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED)",
        most
    )
    .execute(conn)
    .await
    .doing("remove old idempotency keys")?;
    Ok(done.rows_affected())
}
