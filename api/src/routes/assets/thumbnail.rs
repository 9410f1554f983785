//! GET and HEAD /assets/{id}/thumbnail.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Method};
use spool_db::{assets, media};
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::serve::{A_DAY, Offer, serve};
use crate::state::AppState;

/// A small JPEG of an asset, made when it was uploaded; sound has none.
#[utoipa::path(get, path = "/api/v3/assets/{id}/thumbnail", operation_id = "show_asset_thumbnail", tag = "assets",
    params(("id" = Uuid, Path)), responses((status = 200, content_type = "image/jpeg", description = "The picture"),
        (status = 206, content_type = "image/jpeg", description = "The asked part"),
        (status = 304, description = "The bytes with that `etag` are still the ones"),
        (status = 416, body = crate::error::Problem, description = "The range lies outside of the picture")))]
pub async fn thumbnail(
    State(state): State<AppState>,
    caller: Caller,
    method: Method,
    ApiPath(id): ApiPath<Uuid>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let mut conn = state.db.read().await?;
    let asset =
        assets::find(&mut conn, id, caller.client).await?.ok_or_else(|| ApiError::not_found("asset", id))?;
    let unknown = || ApiError::not_found("thumbnail of asset", id);
    let digest = asset.thumbnail_digest.ok_or_else(unknown)?;
    let media = media::get(&mut conn, &digest).await?.ok_or_else(unknown)?;
    drop(conn);
    serve(&state, &method, &headers, Offer { media, file_name: format!("{}.jpg", asset.name), cache: A_DAY })
        .await
}
