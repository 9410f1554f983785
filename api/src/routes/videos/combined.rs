//! GET and HEAD /videos/{job_id}/combined.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Method};

use super::completed;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::serve::{Offer, REVALIDATE, serve};
use crate::state::AppState;

/// The finished video. One range is honoured; several are answered with the whole.
#[utoipa::path(get, path = "/api/v3/videos/{job_id}/combined", operation_id = "show_video", tag = "videos",
    params(("job_id" = i64, Path), ("range" = Option<String>, Header, description = "Such as `bytes=0-1023`")),
    responses((status = 200, content_type = "video/mp4", description = "The whole video"),
        (status = 206, content_type = "video/mp4", description = "The asked part"),
        (status = 304, description = "The bytes with that `etag` are still the ones"),
        (status = 416, body = crate::error::Problem, description = "The range lies outside of the video")))]
pub async fn combined(
    State(state): State<AppState>,
    caller: Caller,
    method: Method,
    ApiPath(job_id): ApiPath<i64>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (job, media) = completed(&state, &caller, job_id, |job| job.video_digest.as_ref()).await?;
    // A new revision of the job puts another video here.
    let offer = Offer { media, file_name: format!("{}.mp4", job.video_name), cache: REVALIDATE };
    serve(&state, &method, &headers, offer).await
}
