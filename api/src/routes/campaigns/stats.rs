//! GET /campaigns/{id}/stats.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use spool_db::{campaigns, stats};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::state::AppState;

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CampaignStats {
    /// Jobs, in whatever state.
    pub video_count: i64,
    /// Jobs with a video.
    pub completed_count: i64,
    /// Dollars that were spent, by the ledger.
    pub total_spend: f64,
    /// The same in millionths of a dollar, exact.
    pub total_spend_micros: i64,
    /// Held for purchases under way, in millionths of a dollar.
    pub reserved_micros: i64,
    /// `totalSpend` by `videoCount`, in dollars.
    pub avg_cost: f64,
    pub asset_count: i64,
    /// Of the assets.
    pub asset_bytes: i64,
}

/// The older systems disagree on the envelope: both find what they look for.
#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignStatsData {
    pub data: CampaignStats,
    #[serde(flatten)]
    pub same: CampaignStats,
}

/// Counts what a campaign has and what it has cost.
#[utoipa::path(get, path = "/api/v3/campaigns/{id}/stats", operation_id = "show_campaign_stats", tag = "campaigns",
    params(("id" = Uuid, Path)), responses((status = 200, body = CampaignStatsData)))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
) -> Result<Json<CampaignStatsData>, ApiError> {
    let mut conn = state.db.read().await?;
    campaigns::find(&mut conn, id, caller.client)
        .await?
        .ok_or_else(|| ApiError::not_found("campaign", id))?;
    let stats = stats::of_campaign(&mut conn, id).await?;
    let data = CampaignStats {
        video_count: stats.videos,
        completed_count: stats.completed,
        total_spend: stats.settled.dollars(),
        total_spend_micros: stats.settled.0,
        reserved_micros: stats.reserved.0,
        avg_cost: if stats.videos == 0 { 0.0 } else { stats.settled.dollars() / stats.videos as f64 },
        asset_count: stats.assets,
        asset_bytes: stats.asset_bytes,
    };
    Ok(Json(CampaignStatsData { data, same: data }))
}
