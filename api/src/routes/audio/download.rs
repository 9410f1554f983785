//! GET and HEAD /audio/{job_id}/download.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Method};
use spool_db::{jobs, soundtracks};

use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::serve::{Offer, REVALIDATE, as_attachment, serve};
use crate::state::AppState;

/// The whole soundtrack as it lies under the video, to be saved. It is AAC in an MP4 file.
#[utoipa::path(get, path = "/api/v3/audio/{job_id}/download", operation_id = "download_audio", tag = "audio",
    params(("job_id" = i64, Path), ("range" = Option<String>, Header, description = "Such as `bytes=0-1023`")),
    responses((status = 200, content_type = "audio/mp4", description = "The whole soundtrack"),
        (status = 206, content_type = "audio/mp4", description = "The asked part"),
        (status = 304, description = "The bytes with that `etag` are still the ones"),
        (status = 416, body = crate::error::Problem, description = "The range lies outside of the file")))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    method: Method,
    ApiPath(job_id): ApiPath<i64>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let unknown = || ApiError::not_found("soundtrack of job", job_id).with("job_id", job_id);
    let mut conn = state.db.read().await?;
    let music = soundtracks::of_job(&mut conn, job_id, caller.client).await?.ok_or_else(unknown)?;
    let media = music.whole.ok_or_else(unknown)?;
    let job = jobs::show(&mut conn, job_id, caller.client).await?.ok_or_else(unknown)?;
    drop(conn);
    let offer = Offer { media, file_name: format!("{}.m4a", job.video_name), cache: REVALIDATE };
    serve(&state, &method, &headers, offer).await.map(as_attachment)
}
