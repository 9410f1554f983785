//! GET and HEAD /assets/{id}/data.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Method};
use spool_db::assets;
use spool_db::media::MediaRow;
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::serve::{A_DAY, Offer, serve};
use crate::state::AppState;

/// The bytes of an asset, by key or by signed link. One range is honoured; several are answered with the whole.
#[utoipa::path(get, path = "/api/v3/assets/{id}/data", operation_id = "show_asset_data", tag = "assets",
    params(("id" = Uuid, Path), ("range" = Option<String>, Header, description = "Such as `bytes=0-1023`")),
    responses((status = 200, content_type = "*/*", description = "All bytes, with their own content type"),
        (status = 206, content_type = "*/*", description = "The asked part"),
        (status = 304, description = "The bytes with that `etag` are still the ones"),
        (status = 416, body = crate::error::Problem, description = "The range lies outside of the file")))]
pub async fn data(
    State(state): State<AppState>,
    caller: Caller,
    method: Method,
    ApiPath(id): ApiPath<Uuid>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let asset = assets::find(&mut *state.db.read().await?, id, caller.client).await?;
    let asset = asset.ok_or_else(|| ApiError::not_found("asset", id))?;
    let media = MediaRow {
        digest: asset.digest,
        bytes: asset.bytes,
        content_type: asset.content_type,
        width: asset.width,
        height: asset.height,
        duration_ms: asset.duration_ms,
    };
    serve(&state, &method, &headers, Offer { media, file_name: asset.name, cache: A_DAY }).await
}
