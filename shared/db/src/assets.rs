//! Assets: the media that callers bring. Rows hold what is known about them; the bytes lie in the object store
//! under their digest, and `media` has one row per distinct content.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::{DbError, Doing};

/// A stored asset with what is known about its content.
#[derive(Debug, Clone)]
pub struct Asset {
    /// Made by the caller of [`create`].
    pub id: Uuid,
    /// Whose it is; a campaign's asset has its campaign's client.
    pub client_id: Option<Uuid>,
    /// The campaign it belongs to.
    pub campaign_id: Option<Uuid>,
    /// `image`, `video` or `audio`.
    pub kind: String,
    /// File or display name: never a path.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// What people said about it.
    pub tags: Vec<String>,
    /// Where it was fetched from.
    pub source_url: Option<String>,
    /// SHA-256 of the content.
    pub digest: String,
    /// SHA-256 of a JPEG that shows it; sound has none.
    pub thumbnail_digest: Option<String>,
    /// A JSON object.
    pub metadata: Value,
    /// When it was created.
    pub inserted_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Size of the content.
    pub bytes: i64,
    /// By its magic bytes, never by what the caller said.
    pub content_type: String,
    /// Pixels.
    pub width: Option<i32>,
    /// Pixels.
    pub height: Option<i32>,
    /// Milliseconds.
    pub duration_ms: Option<i64>,
}

/// An asset to store. Its media rows must be there.
#[derive(Debug, Clone)]
pub struct NewAsset {
    /// Whose it is.
    pub client_id: Option<Uuid>,
    /// The campaign it belongs to; one of the two must be set.
    pub campaign_id: Option<Uuid>,
    /// `image`, `video` or `audio`.
    pub kind: String,
    /// File or display name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// What people said about it.
    pub tags: Vec<String>,
    /// Where it was fetched from.
    pub source_url: Option<String>,
    /// SHA-256 of the content.
    pub digest: String,
    /// SHA-256 of a JPEG that shows it.
    pub thumbnail_digest: Option<String>,
    /// A JSON object.
    pub metadata: Value,
}

/// Which assets to list.
#[derive(Debug, Clone, Default)]
pub struct AssetFilter {
    /// The client that the key is bound to.
    pub owner: Option<Uuid>,
    /// Only of this client.
    pub client_id: Option<Uuid>,
    /// Only of this campaign.
    pub campaign_id: Option<Uuid>,
    /// Only `image`, `video` or `audio`.
    pub kind: Option<String>,
}

/// Stores an asset under `id`.
pub async fn create(conn: &mut PgConnection, id: Uuid, new: &NewAsset) -> Result<Asset, DbError> {
    sqlx::query_as!(
        Asset,
        r#"WITH stored AS (
             INSERT INTO assets (id, client_id, campaign_id, type, name, description, tags, source_url, digest,
                                 thumbnail_digest, metadata)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING *)
           SELECT stored.id AS "id!", client_id, campaign_id, type AS "kind!", name AS "name!", description,
                  tags AS "tags!", source_url, stored.digest AS "digest!", thumbnail_digest,
                  metadata AS "metadata!", inserted_at AS "inserted_at!", updated_at AS "updated_at!",
                  media.bytes, media.content_type, media.width, media.height, media.duration_ms
           FROM stored JOIN media ON media.digest = stored.digest"#,
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
    )
    .fetch_one(conn)
    .await
    .doing("create the asset")
}

/// A page of assets, newest first, and how many match in all.
pub async fn list(
    conn: &mut PgConnection,
    filter: &AssetFilter,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Asset>, i64), DbError> {
    let total = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM assets
           WHERE deleted_at IS NULL AND ($1::uuid IS NULL OR client_id = $1) AND ($2::uuid IS NULL OR client_id = $2)
             AND ($3::uuid IS NULL OR campaign_id = $3) AND ($4::text IS NULL OR type = $4)"#,
        filter.owner,
        filter.client_id,
        filter.campaign_id,
        filter.kind,
    )
    .fetch_one(&mut *conn)
    .await
    .doing("count the assets")?;
    let assets = sqlx::query_as!(
        Asset,
        r#"SELECT assets.id, client_id, campaign_id, type AS kind, name, description, tags, source_url, assets.digest,
                  thumbnail_digest, metadata, inserted_at, updated_at,
                  media.bytes, media.content_type, media.width, media.height, media.duration_ms
           FROM assets JOIN media ON media.digest = assets.digest
           WHERE deleted_at IS NULL AND ($1::uuid IS NULL OR client_id = $1) AND ($2::uuid IS NULL OR client_id = $2)
             AND ($3::uuid IS NULL OR campaign_id = $3) AND ($4::text IS NULL OR type = $4)
           ORDER BY inserted_at DESC, assets.id LIMIT $5 OFFSET $6"#,
        filter.owner,
        filter.client_id,
        filter.campaign_id,
        filter.kind,
        limit,
        offset,
    )
    .fetch_all(conn)
    .await
    .doing("list the assets")?;
    Ok((assets, total))
}

/// One asset.
pub async fn find(conn: &mut PgConnection, id: Uuid, owner: Option<Uuid>) -> Result<Option<Asset>, DbError> {
    sqlx::query_as!(
        Asset,
        r#"SELECT assets.id, client_id, campaign_id, type AS kind, name, description, tags, source_url, assets.digest,
                  thumbnail_digest, metadata, inserted_at, updated_at,
                  media.bytes, media.content_type, media.width, media.height, media.duration_ms
           FROM assets JOIN media ON media.digest = assets.digest
           WHERE assets.id = $1 AND ($2::uuid IS NULL OR client_id = $2) AND deleted_at IS NULL"#,
        id,
        owner,
    )
    .fetch_optional(conn)
    .await
    .doing("load the asset")
}

/// SHA-256 of what is in an asset, also of one that was taken away: scenes are still made from it.
pub async fn content(conn: &mut PgConnection, id: Uuid) -> Result<Option<String>, DbError> {
    sqlx::query_scalar!("SELECT digest FROM assets WHERE id = $1", id)
        .fetch_optional(conn)
        .await
        .doing("find the content of an asset")
}

/// How many assets of any kind a campaign has.
pub async fn count_of_campaign(conn: &mut PgConnection, campaign_id: Uuid) -> Result<i64, DbError> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM assets WHERE campaign_id = $1 AND deleted_at IS NULL"#,
        campaign_id
    )
    .fetch_one(conn)
    .await
    .doing("count the assets of the campaign")
}
