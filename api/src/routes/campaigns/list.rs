//! GET /campaigns.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use spool_db::campaigns;
use utoipa::IntoParams;
use uuid::Uuid;

use super::body::CampaignList;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::query::ApiQuery;
use crate::page::PageQuery;
use crate::routes::clients::body::TotalMeta;
use crate::state::AppState;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CampaignQuery {
    /// Only campaigns of this client.
    pub client_id: Option<Uuid>,
    /// How many rows, 1 to 1000.
    pub limit: Option<i64>,
    /// How many rows to leave out at the start.
    pub offset: Option<i64>,
}

/// Lists campaigns, newest first.
#[utoipa::path(get, path = "/api/v3/campaigns", operation_id = "list_campaigns", tag = "campaigns",
    params(CampaignQuery), responses((status = 200, body = CampaignList)))]
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<CampaignQuery>,
) -> Result<Json<CampaignList>, ApiError> {
    let (limit, offset) = PageQuery { limit: query.limit, offset: query.offset }.bounds(1000);
    let mut conn = state.db.read().await?;
    let (campaigns, total) =
        campaigns::list(&mut conn, caller.client, query.client_id, limit, offset).await?;
    Ok(Json(CampaignList {
        data: campaigns.into_iter().map(Into::into).collect(),
        meta: TotalMeta { total },
    }))
}
