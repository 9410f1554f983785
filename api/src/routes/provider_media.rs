//! GET and HEAD /media/{prediction}/{name}: how a provider fetches the input images and sounds of one prediction.
//! No key, only the signed link that was put into that prediction's input.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Method};
use spool_db::media;
use uuid::Uuid;

use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::serve::{A_DAY, Offer, serve};
use crate::state::AppState;

/// An input of a prediction, by its signed link.
#[utoipa::path(get, path = "/api/v3/media/{prediction}/{name}", operation_id = "show_prediction_media", tag = "media",
    params(("prediction" = Uuid, Path), ("name" = String, Path), ("exp" = i64, Query), ("sig" = String, Query)),
    responses((status = 200, content_type = "*/*", description = "The input"),
        (status = 206, content_type = "*/*", description = "The asked part"),
        (status = 304, description = "The bytes with that `etag` are still the ones"),
        (status = 416, body = crate::error::Problem, description = "The range lies outside of the file")))]
pub async fn show(
    State(state): State<AppState>,
    method: Method,
    ApiPath((prediction, name)): ApiPath<(Uuid, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let row = media::of_prediction(&mut *state.db.read().await?, prediction, &name).await?;
    let media = row.ok_or_else(|| ApiError::not_found("input of that name at prediction", prediction))?;
    serve(&state, &method, &headers, Offer { media, file_name: name, cache: A_DAY }).await
}
