//! GET and HEAD /content/{digest}: stored bytes by what they are.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Method};
use spool_db::media;
use spool_media::key::Digest;

use crate::error::{ApiError, Code};
use crate::extract::path::ApiPath;
use crate::serve::{FOR_GOOD, Offer, serve};
use crate::state::AppState;

/// Stored bytes, named by their digest: what is behind this address can never change, so it may be kept for good. Only links of ours
/// open it: a digest alone tells nobody's key whose bytes they are. One range is honoured; several are answered with the whole.
#[utoipa::path(get, path = "/api/v3/content/{digest}", operation_id = "show_content", tag = "media",
    params(("digest" = String, Path, description = "SHA-256 in hexadecimal"),
        ("exp" = i64, Query), ("sig" = String, Query),
        ("range" = Option<String>, Header, description = "Such as `bytes=0-1023`")),
    responses((status = 200, content_type = "*/*", description = "All bytes, with their own content type"),
        (status = 206, content_type = "*/*", description = "The asked part"),
        (status = 304, description = "The bytes with that `etag` are still the ones"),
        (status = 416, body = crate::error::Problem, description = "The range lies outside of the file")))]
pub async fn show(
    State(state): State<AppState>,
    method: Method,
    ApiPath(digest): ApiPath<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let digest: Digest = digest
        .parse()
        .map_err(|_| ApiError::bad_request(Code::InvalidId, "the digest is not 64 hexadecimal digits"))?;
    let media = media::get(&mut *state.db.read().await?, digest.as_str()).await?;
    let media = media.ok_or_else(|| ApiError::not_found("content", digest.as_str()))?;
    let extension = media.content_type.rsplit('/').next().unwrap_or("bin").to_owned();
    let offer =
        Offer { media, file_name: format!("{}.{extension}", &digest.as_str()[..16]), cache: FOR_GOOD };
    serve(&state, &method, &headers, offer).await
}
