//! The JSON of assets: camelCase, as in v3.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use spool_db::assets::Asset;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::links::Links;

/// What an asset is: told by its bytes. Only a description; the words come from the row.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AssetType {
    Image,
    Video,
    Audio,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssetJson {
    pub id: Uuid,
    /// Always null: keys have no users.
    pub user_id: Option<Uuid>,
    pub client_id: Option<Uuid>,
    pub campaign_id: Option<Uuid>,
    pub name: String,
    /// A signed link to the bytes that works without a key for a day.
    pub url: String,
    /// Bytes.
    pub size: i64,
    pub uploaded_at: DateTime<Utc>,
    pub description: Option<String>,
    pub tags: Vec<String>,
    /// SHA-256 of the thumbnail.
    pub thumbnail_blob_id: Option<String>,
    /// A signed link to a small JPEG of it; sound has none.
    pub thumbnail_url: Option<String>,
    /// Where it was fetched from.
    pub source_url: Option<String>,
    /// `image`, `video` or `audio`.
    #[serde(rename = "type")]
    #[schema(rename = "type", value_type = AssetType)]
    pub kind: String,
    /// Such as `jpeg` or `mp4`.
    pub format: String,
    /// SHA-256 of the bytes.
    pub digest: String,
    /// A signed link to the bytes by their digest, which a browser may keep for good.
    pub content_url: String,
    pub width: Option<i32>,
    pub height: Option<i32>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Always null; only of sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waveform_url: Option<Value>,
    #[schema(value_type = Object)]
    pub metadata: Value,
}

impl AssetJson {
    pub fn of(row: Asset, links: &Links, now: DateTime<Utc>) -> Self {
        let format = row.content_type.rsplit('/').next().unwrap_or_default();
        Self {
            id: row.id,
            user_id: None,
            client_id: row.client_id,
            campaign_id: row.campaign_id,
            name: row.name,
            url: links.asset_data(row.id, now),
            size: row.bytes,
            uploaded_at: row.inserted_at,
            description: row.description,
            tags: row.tags,
            thumbnail_url: row.thumbnail_digest.is_some().then(|| links.asset_thumbnail(row.id, now)),
            thumbnail_blob_id: row.thumbnail_digest,
            source_url: row.source_url,
            format: format.to_owned(),
            content_url: links.content(&row.digest, now),
            digest: row.digest,
            width: row.width,
            height: row.height,
            duration: row.duration_ms.filter(|_| row.kind != "image").map(|ms| ms as f64 / 1000.0),
            waveform_url: (row.kind == "audio").then_some(Value::Null),
            kind: row.kind,
            metadata: row.metadata,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AssetData {
    pub data: AssetJson,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AssetList {
    pub data: Vec<AssetJson>,
    pub meta: PageMeta,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PageMeta {
    /// How many match in all.
    pub total: i64,
    pub limit: i64,
    pub offset: i64,
}
