//! Clients: whom videos are made for. `owner` is the client that a key is bound to; rows of others do not
//! exist for it.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::edit::Edit;
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

/// What changes about a client.
#[derive(Debug, Clone, Default)]
pub struct ClientEdit {
    /// 1 to 255 characters.
    pub name: Option<String>,
    /// Free text.
    pub description: Edit<String>,
    /// As given.
    pub homepage: Edit<String>,
    /// A JSON object, all of it anew.
    pub metadata: Option<Value>,
    /// Free text.
    pub brand_guidelines: Edit<String>,
}

/// Changes a client. `None` when there is none (for this owner).
pub async fn update(
    conn: &mut PgConnection,
    id: Uuid,
    owner: Option<Uuid>,
    edit: &ClientEdit,
) -> Result<Option<Client>, DbError> {
    let (describe, description) = edit.description.parts();
    let (house, homepage) = edit.homepage.parts();
    let (guide, brand_guidelines) = edit.brand_guidelines.parts();
    sqlx::query_as!(
        Client,
        "UPDATE clients SET name = COALESCE($3, name), description = CASE WHEN $4 THEN $5 ELSE description END,
                homepage = CASE WHEN $6 THEN $7 ELSE homepage END, metadata = COALESCE($8, metadata),
                brand_guidelines = CASE WHEN $9 THEN $10 ELSE brand_guidelines END, updated_at = now()
         WHERE id = $1 AND ($2::uuid IS NULL OR id = $2)
         RETURNING id, name, description, homepage, metadata, brand_guidelines, inserted_at, updated_at",
        id,
        owner,
        edit.name,
        describe,
        description,
        house,
        homepage,
        edit.metadata,
        guide,
        brand_guidelines,
    )
    .fetch_optional(conn)
    .await
    .doing("change the client")
}

/// What became of an attempt to delete a client or a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// It is gone, with its campaigns and assets. Jobs that have ended stay, and so does what was spent.
    Deleted,
    /// So many of its jobs have not ended.
    Busy(i64),
    /// There is no such thing (for this owner).
    Unknown,
}

/// Deletes a client with its campaigns, its assets and the keys that are bound to it.
pub async fn delete(conn: &mut PgConnection, id: Uuid) -> Result<Deletion, DbError> {
    const DOING: &str = "delete the client";
    // Whoever creates a job locks its campaign and then needs the client: in the same order here.
    sqlx::query!("SELECT id FROM campaigns WHERE client_id = $1 ORDER BY id FOR UPDATE", id)
        .fetch_all(&mut *conn)
        .await
        .doing(DOING)?;
    if sqlx::query_scalar!("SELECT id FROM clients WHERE id = $1 FOR UPDATE", id)
        .fetch_optional(&mut *conn)
        .await
        .doing(DOING)?
        .is_none()
    {
        return Ok(Deletion::Unknown);
    }
    let busy = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM jobs
           WHERE client_id = $1 AND state IN ('planning', 'pending', 'approved', 'processing')"#,
        id
    )
    .fetch_one(&mut *conn)
    .await
    .doing(DOING)?;
    if busy > 0 {
        return Ok(Deletion::Busy(busy));
    }
    sqlx::query!("DELETE FROM clients WHERE id = $1", id).execute(conn).await.doing(DOING)?;
    Ok(Deletion::Deleted)
}
