//! Who is told. `owner` is the client that a key is bound to; endpoints of others do not exist for it.

use crate::edit::Edit;
use crate::error::{DbError, Doing};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

/// An endpoint, without its secret.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Made by the caller of [`create`].
    pub id: Uuid,
    /// Whose events it gets; none: those of everybody.
    pub client_id: Option<Uuid>,
    /// Where to. It may hold a secret of the caller: it is never logged.
    pub url: String,
    /// For people.
    pub description: Option<String>,
    /// Kinds of events; none: all of them.
    pub events: Vec<String>,
    /// Whether it is told anything.
    pub enabled: bool,
    /// Since when it is not.
    pub disabled_at: Option<DateTime<Utc>>,
    /// `asked`, `gone` or `failing`.
    pub disabled_why: Option<String>,
    /// The first failed try since one got through.
    pub failing_since: Option<DateTime<Utc>>,
    /// Until then the secret before signs, too.
    pub former_until: Option<DateTime<Utc>>,
    /// The key that made it.
    pub created_by: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// An endpoint to store.
#[derive(Debug, Clone)]
pub struct NewEndpoint {
    /// Whose events it gets; none: those of everybody.
    pub client_id: Option<Uuid>,
    /// Where to.
    pub url: String,
    /// For people.
    pub description: Option<String>,
    /// Kinds of events; none: all of them.
    pub events: Vec<String>,
    /// The key that makes it.
    pub created_by: String,
}

/// What a secret is made from again, and how it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// 32 random bytes.
    pub salt: Vec<u8>,
    /// SHA-256 of the secret.
    pub digest: Vec<u8>,
}

/// What changes about an endpoint.
#[derive(Debug, Clone, Default)]
pub struct EndpointEdit {
    /// Where to.
    pub url: Option<String>,
    /// For people.
    pub description: Edit<String>,
    /// Kinds of events, all of them anew.
    pub events: Option<Vec<String>>,
    /// Whether it is told anything.
    pub enabled: Option<bool>,
}

impl EndpointEdit {
    /// Whether what failed so far says nothing any more.
    pub fn begins_anew(&self) -> bool {
        self.url.is_some() || self.enabled == Some(true)
    }
}

/// Stores an endpoint under `id`.
pub async fn create(
    conn: &mut PgConnection,
    id: Uuid,
    new: &NewEndpoint,
    secret: &Sealed,
) -> Result<Endpoint, DbError> {
    sqlx::query_as!(
        Endpoint,
        "INSERT INTO hook_endpoints (id, client_id, url, description, events, secret_salt, secret_digest, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         RETURNING id, client_id, url, description, events, enabled, disabled_at, disabled_why, failing_since, former_until,
                   created_by, created_at, updated_at",
        id,
        new.client_id,
        new.url,
        new.description,
        &new.events,
        secret.salt,
        secret.digest,
        new.created_by,
    )
    .fetch_one(conn)
    .await
    .doing("create the webhook endpoint")
}

/// How many endpoints a client has; of none: how many belong to no client.
pub async fn count(conn: &mut PgConnection, client: Option<Uuid>) -> Result<i64, DbError> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM hook_endpoints WHERE client_id IS NOT DISTINCT FROM $1"#,
        client
    )
    .fetch_one(conn)
    .await
    .doing("count the webhook endpoints")
}

/// A page of endpoints, newest first, and how many there are in all.
pub async fn list(
    conn: &mut PgConnection,
    owner: Option<Uuid>,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Endpoint>, i64), DbError> {
    const DOING: &str = "list the webhook endpoints";
    let total = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM hook_endpoints WHERE $1::uuid IS NULL OR client_id = $1"#,
        owner
    )
    .fetch_one(&mut *conn)
    .await
    .doing(DOING)?;
    let rows = sqlx::query_as!(
        Endpoint,
        "SELECT id, client_id, url, description, events, enabled, disabled_at, disabled_why, failing_since, former_until,
                created_by, created_at, updated_at
         FROM hook_endpoints WHERE $1::uuid IS NULL OR client_id = $1
         ORDER BY created_at DESC, id LIMIT $2 OFFSET $3",
        owner,
        limit,
        offset,
    )
    .fetch_all(conn)
    .await
    .doing(DOING)?;
    Ok((rows, total))
}

/// One endpoint.
pub async fn find(
    conn: &mut PgConnection,
    id: Uuid,
    owner: Option<Uuid>,
) -> Result<Option<Endpoint>, DbError> {
    sqlx::query_as!(
        Endpoint,
        "SELECT id, client_id, url, description, events, enabled, disabled_at, disabled_why, failing_since, former_until,
                created_by, created_at, updated_at
         FROM hook_endpoints WHERE id = $1 AND ($2::uuid IS NULL OR client_id = $2)",
        id,
        owner,
    )
    .fetch_optional(conn)
    .await
    .doing("load the webhook endpoint")
}

/// Changes an endpoint. `None` when there is none (for this owner). At another address, and when it is enabled, it begins anew.
pub async fn update(
    conn: &mut PgConnection,
    id: Uuid,
    owner: Option<Uuid>,
    edit: &EndpointEdit,
) -> Result<Option<Endpoint>, DbError> {
    let (describe, description) = edit.description.parts();
    sqlx::query_as!(
        Endpoint,
        "UPDATE hook_endpoints SET url = COALESCE($3, url), description = CASE WHEN $4 THEN $5 ELSE description END,
                events = COALESCE($6, events), enabled = COALESCE($7, enabled),
                disabled_at = CASE WHEN COALESCE($7, enabled) THEN NULL ELSE COALESCE(disabled_at, now()) END,
                disabled_why = CASE WHEN COALESCE($7, enabled) THEN NULL ELSE COALESCE(disabled_why, 'asked') END,
                failing_since = CASE WHEN $8 THEN NULL ELSE failing_since END, updated_at = now()
         WHERE id = $1 AND ($2::uuid IS NULL OR client_id = $2)
         RETURNING id, client_id, url, description, events, enabled, disabled_at, disabled_why, failing_since, former_until,
                   created_by, created_at, updated_at",
        id,
        owner,
        edit.url,
        describe,
        description,
        edit.events.as_deref(),
        edit.enabled,
        edit.begins_anew(),
    )
    .fetch_optional(conn)
    .await
    .doing("change the webhook endpoint")
}

/// Gives an endpoint another secret; the one it has signs beside it for so many seconds.
pub async fn rotate(
    conn: &mut PgConnection,
    id: Uuid,
    owner: Option<Uuid>,
    secret: &Sealed,
    overlap_s: i64,
) -> Result<Option<Endpoint>, DbError> {
    sqlx::query_as!(
        Endpoint,
        "UPDATE hook_endpoints SET former_salt = CASE WHEN $5::double precision > 0 THEN secret_salt END,
                former_digest = CASE WHEN $5 > 0 THEN secret_digest END,
                former_until = CASE WHEN $5 > 0 THEN now() + $5 * interval '1 second' END,
                secret_salt = $3, secret_digest = $4, updated_at = now()
         WHERE id = $1 AND ($2::uuid IS NULL OR client_id = $2)
         RETURNING id, client_id, url, description, events, enabled, disabled_at, disabled_why, failing_since, former_until,
                   created_by, created_at, updated_at",
        id,
        owner,
        secret.salt,
        secret.digest,
        overlap_s as f64,
    )
    .fetch_optional(conn)
    .await
    .doing("rotate the secret of a webhook endpoint")
}

/// Deletes an endpoint. Nobody sees its deliveries any more; they are swept later. False: there is none (for this owner).
pub async fn delete(conn: &mut PgConnection, id: Uuid, owner: Option<Uuid>) -> Result<bool, DbError> {
    let gone = sqlx::query!(
        "DELETE FROM hook_endpoints WHERE id = $1 AND ($2::uuid IS NULL OR client_id = $2)",
        id,
        owner
    )
    .execute(conn)
    .await
    .doing("delete the webhook endpoint")?;
    Ok(gone.rows_affected() == 1)
}
