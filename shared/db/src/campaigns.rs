//! Campaigns of clients: what a set of media and videos is for.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::{DbError, Doing};

/// A stored campaign.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// Made by the caller of [`create`].
    pub id: Uuid,
    /// Whose it is.
    pub client_id: Uuid,
    /// 1 to 255 characters.
    pub name: String,
    /// A string or an object, as the caller sent it.
    pub brief: Option<Value>,
    /// Free text.
    pub goal: Option<String>,
    /// A free word.
    pub status: Option<String>,
    /// As given.
    pub product_url: Option<String>,
    /// A JSON object.
    pub metadata: Value,
    /// When it was created.
    pub inserted_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A campaign to store.
#[derive(Debug, Clone)]
pub struct NewCampaign {
    /// Must exist.
    pub client_id: Uuid,
    /// 1 to 255 characters.
    pub name: String,
    /// A string or an object.
    pub brief: Option<Value>,
    /// Free text.
    pub goal: Option<String>,
    /// A free word.
    pub status: Option<String>,
    /// As given.
    pub product_url: Option<String>,
    /// A JSON object.
    pub metadata: Value,
}

/// Stores a campaign under `id`. `None` when its client does not exist.
pub async fn create(
    conn: &mut PgConnection,
    id: Uuid,
    new: &NewCampaign,
) -> Result<Option<Campaign>, DbError> {
    sqlx::query_as!(
        Campaign,
        "INSERT INTO campaigns (id, client_id, name, brief, goal, status, product_url, metadata)
         -- The client's row is locked so that it cannot go away in between.
         SELECT $1, client.id, $3, $4, $5, $6, $7, $8 FROM (SELECT id FROM clients WHERE id = $2 FOR KEY SHARE) client
         RETURNING id, client_id, name, brief, goal, status, product_url, metadata, inserted_at, updated_at",
        id,
        new.client_id,
        new.name,
        new.brief,
        new.goal,
        new.status,
        new.product_url,
        new.metadata,
    )
    .fetch_optional(conn)
    .await
    .doing("create the campaign")
}

/// A page of campaigns, newest first, and how many there are in all.
pub async fn list(
    conn: &mut PgConnection,
    owner: Option<Uuid>,
    client_id: Option<Uuid>,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Campaign>, i64), DbError> {
    let total = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM campaigns
           WHERE ($1::uuid IS NULL OR client_id = $1) AND ($2::uuid IS NULL OR client_id = $2)"#,
        owner,
        client_id,
    )
    .fetch_one(&mut *conn)
    .await
    .doing("count the campaigns")?;
    let campaigns = sqlx::query_as!(
        Campaign,
        "SELECT id, client_id, name, brief, goal, status, product_url, metadata, inserted_at, updated_at
         FROM campaigns
         WHERE ($1::uuid IS NULL OR client_id = $1) AND ($2::uuid IS NULL OR client_id = $2)
         ORDER BY inserted_at DESC, id LIMIT $3 OFFSET $4",
        owner,
        client_id,
        limit,
        offset,
    )
    .fetch_all(conn)
    .await
    .doing("list the campaigns")?;
    Ok((campaigns, total))
}

/// One campaign.
pub async fn find(
    conn: &mut PgConnection,
    id: Uuid,
    owner: Option<Uuid>,
) -> Result<Option<Campaign>, DbError> {
    sqlx::query_as!(
        Campaign,
        "SELECT id, client_id, name, brief, goal, status, product_url, metadata, inserted_at, updated_at
         FROM campaigns WHERE id = $1 AND ($2::uuid IS NULL OR client_id = $2)",
        id,
        owner,
    )
    .fetch_optional(conn)
    .await
    .doing("load the campaign")
}
