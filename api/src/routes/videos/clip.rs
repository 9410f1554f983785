//! GET and HEAD /videos/{job_id}/clips/{filename}.

use std::str::FromStr;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Method};
use serde::Deserialize;
use spool_db::media::{self, MediaRow};
use spool_db::{jobs, scenes};
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::serve::{Offer, REVALIDATE, serve};
use crate::state::AppState;

/// A scene's id as older clients write it: `<uuid>`, `<uuid>.mp4` or `clip_<uuid>.mp4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ClipName(pub Uuid);

impl TryFrom<String> for ClipName {
    type Error = uuid::Error;

    fn try_from(text: String) -> Result<Self, uuid::Error> {
        let name = text.strip_suffix(".mp4").unwrap_or(&text);
        Uuid::from_str(name.strip_prefix("clip_").unwrap_or(name)).map(Self)
    }
}

/// The clip of one scene, as soon as it is stored. One range is honoured; several are answered with the whole.
#[utoipa::path(get, path = "/api/v3/videos/{job_id}/clips/{filename}", operation_id = "show_clip", tag = "videos",
    params(("job_id" = i64, Path),
        ("filename" = String, Path, description = "The scene's id: `<uuid>`, `<uuid>.mp4` or `clip_<uuid>.mp4`"),
        ("range" = Option<String>, Header, description = "Such as `bytes=0-1023`")),
    responses((status = 200, content_type = "video/mp4", description = "The whole clip"),
        (status = 206, content_type = "video/mp4", description = "The asked part"),
        (status = 304, description = "The bytes with that `etag` are still the ones"),
        (status = 416, body = crate::error::Problem, description = "The range lies outside of the clip")))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    method: Method,
    ApiPath((job_id, name)): ApiPath<(i64, ClipName)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let media = find(&state, &caller, job_id, name).await?;
    // A scene that is made again puts another clip here.
    let offer = Offer { media, file_name: format!("clip_{}.mp4", name.0), cache: REVALIDATE };
    serve(&state, &method, &headers, offer).await
}

/// The stored clip of a scene of this job.
pub(super) async fn find(
    state: &AppState,
    caller: &Caller,
    job_id: i64,
    ClipName(id): ClipName,
) -> Result<MediaRow, ApiError> {
    let unknown = || ApiError::not_found("clip", id).with("job_id", job_id);
    let mut conn = state.db.read().await?;
    jobs::version(&mut conn, job_id, caller.client).await?.ok_or_else(unknown)?;
    let scene = scenes::get(&mut conn, id).await?.filter(|scene| scene.job_id == job_id);
    let digest = scene.and_then(|scene| scene.clip_digest).ok_or_else(unknown)?;
    media::get(&mut conn, &digest).await?.ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_clips() {
        let id = "0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8e";
        for name in [id.to_owned(), format!("{id}.mp4"), format!("clip_{id}.mp4"), format!("clip_{id}")] {
            assert_eq!(ClipName::try_from(name.clone()).expect("a name").0.to_string(), id, "{name}");
        }
        for name in ["", "clip_.mp4", "../../etc/passwd", "x.mp4"] {
            assert!(ClipName::try_from(name.to_owned()).is_err(), "{name}");
        }
    }
}
