//! GET and HEAD /videos/{job_id}/thumbnail.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Method};

use super::completed;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::serve::{Offer, REVALIDATE, serve};
use crate::state::AppState;

/// A frame of the finished video, made when it was verified.
#[utoipa::path(get, path = "/api/v3/videos/{job_id}/thumbnail", operation_id = "show_video_thumbnail", tag = "videos",
    params(("job_id" = i64, Path)),
    responses((status = 200, content_type = "image/jpeg", description = "The frame"),
        (status = 206, content_type = "image/jpeg", description = "The asked part"),
        (status = 304, description = "The bytes with that `etag` are still the ones"),
        (status = 416, body = crate::error::Problem, description = "The range lies outside of the picture")))]
pub async fn thumbnail(
    State(state): State<AppState>,
    caller: Caller,
    method: Method,
    ApiPath(job_id): ApiPath<i64>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (job, media) = completed(&state, &caller, job_id, |job| job.thumbnail_digest.as_ref()).await?;
    let offer = Offer { media, file_name: format!("{}.jpg", job.video_name), cache: REVALIDATE };
    serve(&state, &method, &headers, offer).await
}
