//! POST /assets/unified.

use axum::Json;
use axum::extract::{Request, State};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::AssetJson;
use super::upload::{AssetForm, AssetFromUrl, take};
use crate::caller::Caller;
use crate::error::ApiError;
use crate::state::AppState;

#[derive(Debug, Serialize, ToSchema)]
pub struct UnifiedAsset {
    pub data: AssetJson,
    pub meta: UnifiedMeta,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct UnifiedMeta {
    /// Pictures and videos have one, sound has none.
    pub has_thumbnail: bool,
}

/// Stores an asset from an uploaded file or an address, as `POST /assets` does, and says whether there is a picture of it.
#[utoipa::path(post, path = "/api/v3/assets/unified", operation_id = "create_unified_asset", tag = "assets",
    request_body(content((AssetForm = "multipart/form-data"), (AssetFromUrl = "application/json"))),
    responses((status = 201, body = UnifiedAsset)))]
pub async fn create(
    State(state): State<AppState>,
    caller: Caller,
    request: Request,
) -> Result<(StatusCode, Json<UnifiedAsset>), ApiError> {
    let data = take(&state, &caller, request).await?;
    let meta = UnifiedMeta { has_thumbnail: data.thumbnail_url.is_some() };
    Ok((StatusCode::CREATED, Json(UnifiedAsset { data, meta })))
}
