//! GET and HEAD /audio/segments/{token}.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Method};
use spool_db::soundtracks;
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::serve::{A_DAY, Offer, serve};
use crate::state::AppState;

/// One stretch of a job's music, as it was bought. `GET /audio/status/{job_id}` has links to all of them.
#[utoipa::path(get, path = "/api/v3/audio/segments/{token}", operation_id = "show_audio_segment", tag = "audio",
    params(("token" = Uuid, Path, description = "The stretch's id"),
        ("range" = Option<String>, Header, description = "Such as `bytes=0-1023`")),
    responses((status = 200, content_type = "audio/mpeg", description = "The whole stretch"),
        (status = 206, content_type = "audio/mpeg", description = "The asked part"),
        (status = 304, description = "The bytes with that `etag` are still the ones"),
        (status = 416, body = crate::error::Problem, description = "The range lies outside of the file")))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    method: Method,
    ApiPath(id): ApiPath<Uuid>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let media = soundtracks::stretch(&mut *state.db.read().await?, id, caller.client).await?;
    let media = media.ok_or_else(|| ApiError::not_found("segment", id))?;
    // What a purchase brought never changes.
    let offer = Offer { media, file_name: format!("segment_{id}.mp3"), cache: A_DAY };
    serve(&state, &method, &headers, offer).await
}
