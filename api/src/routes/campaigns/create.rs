//! POST /campaigns.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use spool_db::campaigns;
use uuid::Uuid;

use super::body::{CampaignData, CreateCampaign};
use crate::audit;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::json::ApiJson;
use crate::state::AppState;
use crate::validation::Invalid;

/// Creates a campaign of a client.
#[utoipa::path(post, path = "/api/v3/campaigns", operation_id = "create_campaign", tag = "campaigns",
    request_body = CreateCampaign, responses((status = 201, body = CampaignData)))]
pub async fn create(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(body): ApiJson<CreateCampaign>,
) -> Result<(StatusCode, Json<CampaignData>), ApiError> {
    let new = body.check(&caller)?;
    let mut transaction = state.db.begin().await?;
    let Some(campaign) = campaigns::create(&mut transaction, Uuid::now_v7(), &new).await? else {
        return Err(Invalid::only("client_id", "does not exist"));
    };
    audit::about("campaign", campaign.id.to_string());
    commit(transaction).await?;
    Ok((StatusCode::CREATED, Json(CampaignData { data: campaign.into() })))
}
