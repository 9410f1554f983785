//! GET and HEAD /videos/{job_id}/clips/{filename}/thumbnail.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Method};
use spool_db::media::{self, MediaRow};
use spool_media::key::Digest;
use spool_media::thumbnail::Fit;

use super::clip::{ClipName, find};
use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::serve::{Offer, REVALIDATE, serve};
use crate::state::AppState;

/// The picture's box; as large as that of the finished video.
const BOX: Fit = Fit { width: 640, height: 360, padded: true };
/// The moment that stands for the clip; the middle of a shorter one.
const AT: Duration = Duration::from_secs(1);

/// A frame of the clip. It is made when it is first asked for and kept with the clip.
#[utoipa::path(get, path = "/api/v3/videos/{job_id}/clips/{filename}/thumbnail", operation_id = "show_clip_thumbnail", tag = "videos",
    params(("job_id" = i64, Path),
        ("filename" = String, Path, description = "The scene's id: `<uuid>`, `<uuid>.mp4` or `clip_<uuid>.mp4`")),
    responses((status = 200, content_type = "image/jpeg", description = "The frame"),
        (status = 206, content_type = "image/jpeg", description = "The asked part"),
        (status = 304, description = "The bytes with that `etag` are still the ones"),
        (status = 416, body = crate::error::Problem, description = "The range lies outside of the picture")))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    method: Method,
    ApiPath((job_id, name)): ApiPath<(i64, ClipName)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let clip = find(&state, &caller, job_id, name).await?;
    let kept = media::thumbnail_of(&mut *state.db.read().await?, &clip.digest).await?;
    let media = match kept {
        Some(media) => media,
        None => make(&state, &clip).await?,
    };
    let offer = Offer { media, file_name: format!("clip_{}.jpg", name.0), cache: REVALIDATE };
    serve(&state, &method, &headers, offer).await
}

/// Two that come at the same time make the same picture; how many FFmpegs run at once is bounded.
async fn make(state: &AppState, clip: &MediaRow) -> Result<MediaRow, ApiError> {
    let digest: Digest = clip.digest.parse().map_err(ApiError::internal)?;
    let folder = state.store.scratch().folder().map_err(ApiError::internal)?;
    let film = state.store.local_copy(&digest, folder.path()).await.map_err(ApiError::internal)?;
    let picture = folder.path().join("thumbnail.jpg");
    state.ffmpeg.thumbnail(&film, AT, BOX, &picture).await.map_err(ApiError::internal)?;
    let stored = state.store.put_file(&picture).await.map_err(ApiError::internal)?;
    let row = MediaRow {
        digest: stored.digest.to_string(),
        bytes: i64::try_from(stored.bytes).map_err(ApiError::internal)?,
        content_type: "image/jpeg".to_owned(),
        width: i32::try_from(BOX.width).ok(),
        height: i32::try_from(BOX.height).ok(),
        duration_ms: None,
    };
    let mut transaction = state.db.begin().await?;
    media::record(&mut transaction, &row).await?;
    media::keep_thumbnail(&mut transaction, &clip.digest, &row.digest).await?;
    commit(transaction).await?;
    Ok(row)
}
