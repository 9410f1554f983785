//! Campaigns of clients: what a set of media and videos is for.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::clients::Deletion;
use crate::edit::Edit;
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

/// What changes about a campaign. Its client stays.
#[derive(Debug, Clone, Default)]
pub struct CampaignEdit {
    /// 1 to 255 characters.
    pub name: Option<String>,
    /// A string or an object.
    pub brief: Edit<Value>,
    /// Free text.
    pub goal: Edit<String>,
    /// A free word.
    pub status: Edit<String>,
    /// As given.
    pub product_url: Edit<String>,
    /// A JSON object, all of it anew.
    pub metadata: Option<Value>,
}

/// Changes a campaign. `None` when there is none (for this owner).
pub async fn update(
    conn: &mut PgConnection,
    id: Uuid,
    owner: Option<Uuid>,
    edit: &CampaignEdit,
) -> Result<Option<Campaign>, DbError> {
    let (brief_changes, brief) = edit.brief.parts();
    let (goal_changes, goal) = edit.goal.parts();
    let (status_changes, status) = edit.status.parts();
    let (url_changes, product_url) = edit.product_url.parts();
    sqlx::query_as!(
        Campaign,
        "UPDATE campaigns SET name = COALESCE($3, name), brief = CASE WHEN $4 THEN $5 ELSE brief END,
                goal = CASE WHEN $6 THEN $7 ELSE goal END, status = CASE WHEN $8 THEN $9 ELSE status END,
                product_url = CASE WHEN $10 THEN $11 ELSE product_url END, metadata = COALESCE($12, metadata), updated_at = now()
         WHERE id = $1 AND ($2::uuid IS NULL OR client_id = $2)
         RETURNING id, client_id, name, brief, goal, status, product_url, metadata, inserted_at, updated_at",
        id,
        owner,
        edit.name,
        brief_changes,
        brief,
        goal_changes,
        goal,
        status_changes,
        status,
        url_changes,
        product_url,
        edit.metadata,
    )
    .fetch_optional(conn)
    .await
    .doing("change the campaign")
}

/// Deletes a campaign with its assets. Jobs that have ended stay, and so does what was spent.
pub async fn delete(conn: &mut PgConnection, id: Uuid, owner: Option<Uuid>) -> Result<Deletion, DbError> {
    const DOING: &str = "delete the campaign";
    // Whoever creates a job locks this row first.
    let found = sqlx::query_scalar!(
        "SELECT id FROM campaigns WHERE id = $1 AND ($2::uuid IS NULL OR client_id = $2) FOR UPDATE",
        id,
        owner
    )
    .fetch_optional(&mut *conn)
    .await
    .doing(DOING)?;
    if found.is_none() {
        return Ok(Deletion::Unknown);
    }
    let busy = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM jobs
           WHERE campaign_id = $1 AND state IN ('planning', 'pending', 'approved', 'processing')"#,
        id
    )
    .fetch_one(&mut *conn)
    .await
    .doing(DOING)?;
    if busy > 0 {
        return Ok(Deletion::Busy(busy));
    }
    sqlx::query!("DELETE FROM campaigns WHERE id = $1", id).execute(conn).await.doing(DOING)?;
    Ok(Deletion::Deleted)
}
