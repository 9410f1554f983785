//! GET /campaigns/{id}.

use axum::Json;
use axum::extract::State;
use spool_db::campaigns;
use uuid::Uuid;

use super::body::CampaignData;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::state::AppState;

/// Shows one campaign.
#[utoipa::path(get, path = "/api/v3/campaigns/{id}", operation_id = "show_campaign", tag = "campaigns",
    params(("id" = Uuid, Path)), responses((status = 200, body = CampaignData)))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
) -> Result<Json<CampaignData>, ApiError> {
    let campaign = campaigns::find(&mut *state.db.read().await?, id, caller.client).await?;
    let campaign = campaign.ok_or_else(|| ApiError::not_found("campaign", id))?;
    Ok(Json(CampaignData { data: campaign.into() }))
}
