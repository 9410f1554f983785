//! Who changed what over HTTP: one row per request that changed something, in the transaction of the change.

use crate::error::{DbError, Doing};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use uuid::Uuid;

/// A change to note.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Public id of the key.
    pub key_id: String,
    /// The client that the key is bound to.
    pub client_id: Option<Uuid>,
    /// Finds the request in the logs.
    pub request_id: String,
    /// Such as `POST`.
    pub method: String,
    /// The pattern of the path.
    pub route: String,
    /// The path, without the query string.
    pub path: String,
    /// A JSON object: ids of what was made, names of what was changed. Never a value that a caller sent.
    pub about: Value,
}

impl Change {
    /// Adds what the path does not tell.
    #[must_use]
    pub fn about(mut self, name: &str, value: impl Into<Value>) -> Self {
        if !self.about.is_object() {
            self.about = Value::Object(Map::new());
        }
        self.about[name] = value.into();
        self
    }
}

/// A change as it was noted.
#[derive(Debug, Clone)]
pub struct Noted {
    /// Grows with time.
    pub id: i64,
    /// When, by the database's clock.
    pub at: DateTime<Utc>,
    /// Public id of the key.
    pub key_id: String,
    /// The client that the key was bound to.
    pub client_id: Option<Uuid>,
    /// Finds the request in the logs.
    pub request_id: String,
    /// Such as `POST`.
    pub method: String,
    /// The pattern of the path.
    pub route: String,
    /// The path, without the query string.
    pub path: String,
    /// Ids of what was made, names of what was changed.
    pub about: Value,
}

/// Which changes to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only of this key.
    pub key_id: Option<String>,
    /// Only of keys bound to this client.
    pub client_id: Option<Uuid>,
    /// Only at or after this.
    pub from: Option<DateTime<Utc>>,
    /// Only before this.
    pub to: Option<DateTime<Utc>>,
    /// Only those with a smaller id: the next page.
    pub before: Option<i64>,
}

/// Notes a change.
pub async fn append(conn: &mut PgConnection, change: &Change) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO audit (key_id, client_id, request_id, method, route, path, about) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        change.key_id,
        change.client_id,
        change.request_id,
        change.method,
        change.route,
        change.path,
        change.about,
    )
    .execute(conn)
    .await
    .doing("note a change")?;
    Ok(())
}

/// At most `limit` changes, newest first.
pub async fn list(conn: &mut PgConnection, filter: &Filter, limit: i64) -> Result<Vec<Noted>, DbError> {
    sqlx::query_as!(
        Noted,
        "SELECT id, at, key_id, client_id, request_id, method, route, path, about FROM audit
         WHERE ($1::text IS NULL OR key_id = $1) AND ($2::uuid IS NULL OR client_id = $2)
           AND ($3::timestamptz IS NULL OR at >= $3) AND ($4::timestamptz IS NULL OR at < $4)
           AND ($5::bigint IS NULL OR id < $5)
         ORDER BY id DESC LIMIT $6",
        filter.key_id,
        filter.client_id,
        filter.from,
        filter.to,
        filter.before,
        limit,
    )
    .fetch_all(conn)
    .await
    .doing("list what was changed")
}
