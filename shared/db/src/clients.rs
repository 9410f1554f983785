//! Clients: whom videos are made for. `owner` is the client that a key is bound to; rows of others do not
//! exist for it.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::{DbError, Doing};

/// A stored client.
#[derive(Debug, Clone)]
pub struct Client {
    /// Made by the caller of [`create`].
    pub id: Uuid,
    /// 1 to 255 characters.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// As given.
    pub homepage: Option<String>,
    /// A JSON object.
    pub metadata: Value,
    /// Free text.
    pub brand_guidelines: Option<String>,
    /// When it was created.
    pub inserted_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A client to store.
#[derive(Debug, Clone)]
pub struct NewClient {
    /// 1 to 255 characters.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// As given.
    pub homepage: Option<String>,
    /// A JSON object.
    pub metadata: Value,
    /// Free text.
    pub brand_guidelines: Option<String>,
}

/// Stores a client under `id`.
pub async fn create(conn: &mut PgConnection, id: Uuid, new: &NewClient) -> Result<Client, DbError> {
    sqlx::query_as!(
        Client,
        "INSERT INTO clients (id, name, description, homepage, metadata, brand_guidelines)
         VALUES ($1, $2, $3, $4, $5, $6)
         RETURNING id, name, description, homepage, metadata, brand_guidelines, inserted_at, updated_at",
        id,
        new.name,
        new.description,
        new.homepage,
        new.metadata,
        new.brand_guidelines,
    )
    .fetch_one(conn)
    .await
    .doing("create the client")
}

/// A page of clients, newest first, and how many there are in all.
pub async fn list(
    conn: &mut PgConnection,
    owner: Option<Uuid>,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Client>, i64), DbError> {
    let total = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM clients WHERE $1::uuid IS NULL OR id = $1"#,
        owner
    )
    .fetch_one(&mut *conn)
    .await
    .doing("count the clients")?;
    let clients = sqlx::query_as!(
        Client,
        "SELECT id, name, description, homepage, metadata, brand_guidelines, inserted_at, updated_at
         FROM clients WHERE $1::uuid IS NULL OR id = $1
         ORDER BY inserted_at DESC, id LIMIT $2 OFFSET $3",
        owner,
        limit,
        offset,
    )
    .fetch_all(conn)
    .await
    .doing("list the clients")?;
    Ok((clients, total))
}

/// One client.
pub async fn find(conn: &mut PgConnection, id: Uuid, owner: Option<Uuid>) -> Result<Option<Client>, DbError> {
    sqlx::query_as!(
        Client,
        "SELECT id, name, description, homepage, metadata, brand_guidelines, inserted_at, updated_at
         FROM clients WHERE id = $1 AND ($2::uuid IS NULL OR id = $2)",
        id,
        owner,
    )
    .fetch_optional(conn)
    .await
    .doing("load the client")
}
