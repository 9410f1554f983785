//! GET /campaigns/{id}/assets: snake_case, as in v3, where the assets' own route speaks camelCase.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use spool_db::assets::{self, AssetFilter};
use spool_db::campaigns;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::extract::query::ApiQuery;
use crate::page::PageQuery;
use crate::routes::assets::body::AssetType;
use crate::state::AppState;

#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignAsset {
    pub id: Uuid,
    #[serde(rename = "type")]
    #[schema(rename = "type", value_type = AssetType)]
    pub kind: String,
    pub campaign_id: Option<Uuid>,
    pub name: String,
    pub source_url: Option<String>,
    #[schema(value_type = Object)]
    pub metadata: Value,
    /// Always true: what is listed is stored.
    pub has_blob_data: bool,
    /// A signed link to the bytes that works without a key for a day.
    pub url: String,
    /// A signed link to a small JPEG of it; sound has none.
    pub thumbnail_url: Option<String>,
    pub inserted_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignAssets {
    pub data: Vec<CampaignAsset>,
    pub meta: CampaignAssetsMeta,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignAssetsMeta {
    pub campaign_id: Uuid,
    /// How many there are in all, whatever the page.
    pub total: i64,
}

/// Lists the assets of a campaign, newest first.
#[utoipa::path(get, path = "/api/v3/campaigns/{id}/assets", operation_id = "list_campaign_assets", tag = "campaigns",
    params(("id" = Uuid, Path), PageQuery), responses((status = 200, body = CampaignAssets)))]
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<CampaignAssets>, ApiError> {
    let (limit, offset) = page.bounds(1000);
    let mut conn = state.db.read().await?;
    campaigns::find(&mut conn, id, caller.client)
        .await?
        .ok_or_else(|| ApiError::not_found("campaign", id))?;
    let filter = AssetFilter { owner: caller.client, campaign_id: Some(id), ..AssetFilter::default() };
    let (rows, total) = assets::list(&mut conn, &filter, limit, offset).await?;
    let now = state.clock.now();
    let asset = |row: assets::Asset| CampaignAsset {
        url: state.links.asset_data(row.id, now),
        thumbnail_url: row.thumbnail_digest.is_some().then(|| state.links.asset_thumbnail(row.id, now)),
        id: row.id,
        kind: row.kind,
        campaign_id: row.campaign_id,
        name: row.name,
        source_url: row.source_url,
        metadata: row.metadata,
        has_blob_data: true,
        inserted_at: row.inserted_at,
        updated_at: row.updated_at,
    };
    Ok(Json(CampaignAssets {
        data: rows.into_iter().map(asset).collect(),
        meta: CampaignAssetsMeta { campaign_id: id, total },
    }))
}
