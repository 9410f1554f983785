//! POST /assets/from-url.

use axum::Json;
use axum::extract::{Request, State};
use http::StatusCode;

use super::body::AssetData;
use super::fields::owner_of;
use super::upload::{AssetFromUrl, from_json};
use crate::asset_intake;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::json;
use crate::state::AppState;

/// Stores an asset from an address.
#[utoipa::path(post, path = "/api/v3/assets/from-url", operation_id = "create_asset_from_url", tag = "assets",
    request_body = AssetFromUrl, responses((status = 201, body = AssetData)))]
pub async fn create(
    State(state): State<AppState>,
    caller: Caller,
    request: Request,
) -> Result<(StatusCode, Json<AssetData>), ApiError> {
    if !json::is_json(request.headers()) {
        return Err(json::not_json());
    }
    let (fields, source) = from_json(request).await?;
    let said = fields.parse()?;
    let owner = owner_of(&state, &caller, &said).await?;
    let data = asset_intake::create(&state, said, owner, source).await?;
    Ok((StatusCode::CREATED, Json(AssetData { data })))
}
