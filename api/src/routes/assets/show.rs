//! GET /assets/{id}.

use axum::Json;
use axum::extract::State;
use spool_db::assets;
use uuid::Uuid;

use super::body::{AssetData, AssetJson};
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::state::AppState;

/// Shows one asset.
#[utoipa::path(get, path = "/api/v3/assets/{id}", operation_id = "show_asset", tag = "assets",
    params(("id" = Uuid, Path)), responses((status = 200, body = AssetData)))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
) -> Result<Json<AssetData>, ApiError> {
    let asset = assets::find(&mut *state.db.read().await?, id, caller.client).await?;
    let asset = asset.ok_or_else(|| ApiError::not_found("asset", id))?;
    Ok(Json(AssetData { data: AssetJson::of(asset, &state.links, state.clock.now()) }))
}
