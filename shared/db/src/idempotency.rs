//! Requests that may be sent again: the row of an `Idempotency-Key` commits with what its request has caused.

use crate::audit::Change;
use crate::error::{DbError, Doing};
use sqlx::PgConnection;
use std::collections::HashSet;
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

/// Enters a key until the end of the transaction. It waits for nobody.
pub async fn enter(conn: &mut PgConnection, this: &Use) -> Result<Entry, DbError> {
    let entries = enter_all(conn, &[this]).await?;
    entries.into_iter().next().ok_or_else(|| DbError::Moved { operation: ENTER, what: this.what() })
}

/// Enters several, for requests that are carried out by one transaction. Of two with the same key the second one is too early.
pub async fn enter_all(conn: &mut PgConnection, all: &[&Use]) -> Result<Vec<Entry>, DbError> {
    let callers: Vec<&str> = all.iter().map(|this| this.api_key.as_str()).collect();
    let keys: Vec<&str> = all.iter().map(|this| this.key.as_str()).collect();
    let rows = sqlx::query!(
        r#"SELECT entered AS "entered!", request, digest, status, content_type, location, body
           FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS used (api_key, key, place),
                LATERAL idempotency_enter(used.api_key, used.key)
           ORDER BY place"#,
        &callers as &[&str],
        &keys as &[&str],
    )
    .fetch_all(conn)
    .await
    .doing(ENTER)?;
    let mut seen = HashSet::new();
    let entries = all.iter().zip(rows).map(|(this, row)| {
        // The lock is the transaction's: it does not tell its own requests apart.
        let entered = row.entered && seen.insert((&this.api_key, &this.key));
        match (row.request, row.status) {
            (None, _) if entered => Entry::Free,
            (Some(request), None) if request == this.request => Entry::Free,
            (Some(_), _) if row.digest.as_deref() != Some(&this.digest) => Entry::Other,
            (None, _) | (Some(_), None) => Entry::Busy,
            (Some(_), Some(status)) => Entry::Answered(Stored {
                status: status.unsigned_abs(),
                content_type: row.content_type,
                location: row.location,
                body: row.body,
            }),
        }
    });
    Ok(entries.collect())
}

/// What a request leaves behind in the transaction of its change.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The key it came with, and what it was answered; without an answer, that it has changed something.
    pub key: Option<(&'a Use, Option<&'a Stored>)>,
    /// Who has changed what, where that is not noted yet.
    pub change: Option<&'a Change>,
}

/// Writes what requests leave behind, all by one statement. It fails when one of the keys has become somebody else's.
pub async fn record(conn: &mut PgConnection, all: &[Record<'_>]) -> Result<(), DbError> {
    const DOING: &str = "record the answer under its idempotency key";
    if all.is_empty() {
        return Ok(());
    }
    let keyed: Vec<(&Use, Option<&Stored>)> = all.iter().filter_map(|record| record.key).collect();
    let answers: Vec<Option<&Stored>> = keyed.iter().map(|(_, answer)| *answer).collect();
    let changes: Vec<&Change> = all.iter().filter_map(|record| record.change).collect();
    let written = sqlx::query!(
        "WITH noted AS (
             INSERT INTO audit (key_id, client_id, request_id, method, route, path, about)
             SELECT * FROM unnest($9::text[], $10::uuid[], $11::text[], $12::text[], $13::text[], $14::text[], $15::jsonb[])
         )
         INSERT INTO idempotency_keys AS k (api_key, key, request, digest, status, content_type, location, body)
         SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::smallint[], $6::text[], $7::text[], $8::bytea[])
         ON CONFLICT (api_key, key) DO UPDATE
         SET request = excluded.request, digest = excluded.digest, status = excluded.status, content_type = excluded.content_type,
             location = excluded.location, body = excluded.body, created_at = now()
         WHERE k.request = excluded.request OR k.created_at <= now() - interval '24 hours'",
        &column(&keyed, |(this, _)| this.api_key.as_str()) as &[&str],
        &column(&keyed, |(this, _)| this.key.as_str()) as &[&str],
        &column(&keyed, |(this, _)| this.request),
        &column(&keyed, |(this, _)| this.digest.as_str()) as &[&str],
        &column(&answers, |answer| answer.map(|answer| answer.status as i16)) as &[Option<i16>],
        &column(&answers, |answer| answer.and_then(|answer| answer.content_type.as_deref())) as &[Option<&str>],
        &column(&answers, |answer| answer.and_then(|answer| answer.location.as_deref())) as &[Option<&str>],
        &column(&answers, |answer| answer.and_then(|answer| answer.body.as_deref())) as &[Option<&[u8]>],
        &column(&changes, |change| change.key_id.as_str()) as &[&str],
        &column(&changes, |change| change.client_id) as &[Option<Uuid>],
        &column(&changes, |change| change.request_id.as_str()) as &[&str],
        &column(&changes, |change| change.method.as_str()) as &[&str],
        &column(&changes, |change| change.route.as_str()) as &[&str],
        &column(&changes, |change| change.path.as_str()) as &[&str],
        &column(&changes, |change| change.about.clone()),
    )
    .execute(conn)
    .await
    .doing(DOING)?;
    if written.rows_affected() != keyed.len() as u64 {
        let what = keyed.iter().map(|(this, _)| this.what()).collect::<Vec<_>>().join(", ");
        return Err(DbError::Moved { operation: DOING, what });
    }
    Ok(())
}

fn column<'a, T, C>(rows: &'a [T], value: impl Fn(&'a T) -> C) -> Vec<C> {
    rows.iter().map(value).collect()
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
