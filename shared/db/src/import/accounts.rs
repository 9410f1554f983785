//! Clients, campaigns and assets under the ids and times they had.

use crate::assets::NewAsset;
use crate::campaigns::NewCampaign;
use crate::clients::NewClient;
use crate::error::{DbError, Doing};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

/// When a row was made and last changed, where the older system says so; the time of the import where not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// When it was made.
    pub inserted: Option<DateTime<Utc>>,
    /// When it last changed.
    pub updated: Option<DateTime<Utc>>,
}

/// Says whether the client is new here.
pub async fn client(
    conn: &mut PgConnection,
    id: Uuid,
    new: &NewClient,
    times: Times,
) -> Result<bool, DbError> {
    let made = sqlx::query!(
        "INSERT INTO clients (id, name, description, homepage, metadata, brand_guidelines, inserted_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, COALESCE($7, $8, now()), COALESCE($8, $7, now())) ON CONFLICT (id) DO NOTHING",
        id,
        new.name,
        new.description,
        new.homepage,
        new.metadata,
        new.brand_guidelines,
        times.inserted,
        times.updated,
    )
    .execute(conn)
    .await
    .doing("import a client")?;
    Ok(made.rows_affected() == 1)
}

/// Says whether the campaign is new here. Its client must be.
pub async fn campaign(
    conn: &mut PgConnection,
    id: Uuid,
    new: &NewCampaign,
    times: Times,
) -> Result<bool, DbError> {
    let made = sqlx::query!(
        "INSERT INTO campaigns (id, client_id, name, brief, goal, status, product_url, metadata, inserted_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, COALESCE($9, $10, now()), COALESCE($10, $9, now())) ON CONFLICT (id) DO NOTHING",
        id,
        new.client_id,
        new.name,
        new.brief,
        new.goal,
        new.status,
        new.product_url,
        new.metadata,
        times.inserted,
        times.updated,
    )
    .execute(conn)
    .await
    .doing("import a campaign")?;
    Ok(made.rows_affected() == 1)
}

/// Says whether the asset is new here. Its owners and its media rows must be here.
pub async fn asset(conn: &mut PgConnection, id: Uuid, new: &NewAsset, times: Times) -> Result<bool, DbError> {
    let made = sqlx::query!(
        "INSERT INTO assets (id, client_id, campaign_id, type, name, description, tags, source_url, digest, thumbnail_digest, metadata,
                             inserted_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, COALESCE($12, $13, now()), COALESCE($13, $12, now()))
         ON CONFLICT (id) DO NOTHING",
        id,
        new.client_id,
        new.campaign_id,
        new.kind,
        new.name,
        new.description,
        &new.tags,
        new.source_url,
        new.digest,
        new.thumbnail_digest,
        new.metadata,
        times.inserted,
        times.updated,
    )
    .execute(conn)
    .await
    .doing("import an asset")?;
    Ok(made.rows_affected() == 1)
}

/// Whether there is such a client.
pub async fn has_client(conn: &mut PgConnection, id: Uuid) -> Result<bool, DbError> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM clients WHERE id = $1) AS "there!""#, id)
        .fetch_one(conn)
        .await
        .doing("look for a client")
}

/// The client of a campaign; `None` where there is no such campaign.
pub async fn client_of_campaign(conn: &mut PgConnection, id: Uuid) -> Result<Option<Uuid>, DbError> {
    sqlx::query_scalar!("SELECT client_id FROM campaigns WHERE id = $1", id)
        .fetch_optional(conn)
        .await
        .doing("look for a campaign")
}
