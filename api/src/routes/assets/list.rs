//! GET /assets.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use spool_db::assets::{self, AssetFilter};
use utoipa::IntoParams;
use uuid::Uuid;

use super::body::{AssetJson, AssetList, PageMeta};
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::query::ApiQuery;
use crate::page::PageQuery;
use crate::state::AppState;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AssetQuery {
    /// Only assets of this campaign.
    pub campaign_id: Option<Uuid>,
    /// Only assets of this client.
    pub client_id: Option<Uuid>,
    /// Only `image`, `video` or `audio`.
    pub asset_type: Option<String>,
    /// The same as `asset_type`.
    #[serde(rename = "type")]
    #[param(rename = "type")]
    pub kind: Option<String>,
    /// How many rows, 1 to 1000.
    pub limit: Option<i64>,
    /// How many rows to leave out at the start.
    pub offset: Option<i64>,
}

/// Lists assets, newest first.
#[utoipa::path(get, path = "/api/v3/assets", operation_id = "list_assets", tag = "assets",
    params(AssetQuery), responses((status = 200, body = AssetList)))]
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<AssetQuery>,
) -> Result<Json<AssetList>, ApiError> {
    let (limit, offset) = PageQuery { limit: query.limit, offset: query.offset }.bounds(25);
    let filter = AssetFilter {
        owner: caller.client,
        client_id: query.client_id,
        campaign_id: query.campaign_id,
        kind: query.asset_type.or(query.kind),
    };
    let (rows, total) = assets::list(&mut *state.db.read().await?, &filter, limit, offset).await?;
    let now = state.clock.now();
    let data = rows.into_iter().map(|row| AssetJson::of(row, &state.links, now)).collect();
    Ok(Json(AssetList { data, meta: PageMeta { total, limit, offset } }))
}
