//! GET /clients/{id}/stats.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use spool_db::{clients, stats};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::state::AppState;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientStats {
    pub campaign_count: i64,
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
    pub asset_count: i64,
    /// Of the assets.
    pub asset_bytes: i64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ClientStatsData {
    pub data: ClientStats,
}

/// Counts what a client has and what it has cost.
#[utoipa::path(get, path = "/api/v3/clients/{id}/stats", operation_id = "show_client_stats", tag = "clients",
    params(("id" = Uuid, Path)), responses((status = 200, body = ClientStatsData)))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
) -> Result<Json<ClientStatsData>, ApiError> {
    let mut conn = state.db.read().await?;
    clients::find(&mut conn, id, caller.client).await?.ok_or_else(|| ApiError::not_found("client", id))?;
    let stats = stats::of_client(&mut conn, id).await?;
    Ok(Json(ClientStatsData {
        data: ClientStats {
            campaign_count: stats.campaigns,
            video_count: stats.videos,
            completed_count: stats.completed,
            total_spend: stats.settled.dollars(),
            total_spend_micros: stats.settled.0,
            reserved_micros: stats.reserved.0,
            asset_count: stats.assets,
            asset_bytes: stats.asset_bytes,
        },
    }))
}
