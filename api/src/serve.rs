//! Sends stored media: strong entity tag (its digest), one range, HEAD, and nothing of it whole in memory.
//! The digest names the bytes, so a tag can never lie.

use std::fmt::Write as _;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures::TryStreamExt;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use spool_db::media::MediaRow;
use spool_media::key::Digest;
use spool_media::range::{self, Wanted};
use spool_telemetry::programs;

use crate::error::{ApiError, Code};
use crate::etag;
use crate::state::AppState;

/// How to hand it out.
#[derive(Debug)]
pub struct Offer {
    pub media: MediaRow,
    /// What a browser saves it as; goes into `content-disposition: inline`.
    pub file_name: String,
    /// `cache-control`: only an address that names the content may be cached for good.
    pub cache: &'static str,
}

/// For addresses whose content can change: ask again, the tag makes it cheap.
pub const REVALIDATE: &str = "private, no-cache";
/// For addresses that name their content by its digest: it can never be another.
pub const FOR_GOOD: &str = "private, max-age=31536000, immutable";
/// For addresses whose content stays while they exist.
pub const A_DAY: &str = "private, max-age=86400";

/// Answers GET or HEAD for stored media.
pub async fn serve(
    state: &AppState,
    method: &Method,
    headers: &HeaderMap,
    offer: Offer,
) -> Result<Response, ApiError> {
    let size = u64::try_from(offer.media.bytes).map_err(ApiError::internal)?;
    let digest: Digest = offer.media.digest.parse().map_err(ApiError::internal)?;
    let tag = HeaderValue::from_str(&digest.etag()).map_err(ApiError::internal)?;

    let mut answer = HeaderMap::new();
    answer.insert(header::ETAG, tag.clone());
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static(offer.cache));
    answer.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if etag::none_match(headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, answer).into_response());
    }
    answer.insert(header::CONTENT_TYPE, content_type(&offer.media.content_type));
    answer.insert(header::CONTENT_DISPOSITION, disposition(&offer.file_name));

    // Ranges are defined for GET alone.
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let asked = asked.filter(|_| method == Method::GET && etag::range_holds(headers, &tag));
    let wanted = range::wanted(asked, size);
    let (status, part) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0..size),
        Wanted::Part(part) => {
            let shown = format!("bytes {}-{}/{size}", part.start, part.end.saturating_sub(1));
            answer.insert(header::CONTENT_RANGE, HeaderValue::from_str(&shown).map_err(ApiError::internal)?);
            (StatusCode::PARTIAL_CONTENT, part)
        }
        Wanted::Unsatisfiable => {
            let shown = HeaderValue::from_str(&format!("bytes */{size}")).map_err(ApiError::internal)?;
            let why = format!("the range lies outside of the {size} bytes there are");
            return Err(ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, Code::InvalidRange, why)
                .with_header(header::CONTENT_RANGE, shown));
        }
    };
    answer.insert(header::CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
    if method == Method::HEAD {
        return Ok((status, answer).into_response());
    }
    // A range of an empty file cannot be asked for.
    let range = (size > 0).then_some(part);
    let stream = state
        .store
        .get(&digest, range)
        .await
        .map_err(ApiError::internal)?
        .stream
        .inspect_ok(|chunk| programs::bytes_out(chunk.len() as u64));
    Ok((status, answer, Body::from_stream(stream)).into_response())
}

/// The same answer, to be saved instead of shown.
pub fn as_attachment(mut response: Response) -> Response {
    let shown = response.headers().get(header::CONTENT_DISPOSITION).and_then(|value| value.to_str().ok());
    let saved = shown.and_then(|shown| shown.strip_prefix("inline")).map(|name| format!("attachment{name}"));
    if let Some(saved) = saved.and_then(|saved| HeaderValue::from_str(&saved).ok()) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, saved);
    }
    response
}

/// Types come from magic bytes; anything else would be ours to explain.
fn content_type(stored: &str) -> HeaderValue {
    HeaderValue::from_str(stored).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

/// `inline; filename="…"` with everything taken out that a header or a file system could misread, and the real
/// name beside it in the encoding of RFC 8187.
fn disposition(name: &str) -> HeaderValue {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ') { c } else { '_' })
        .collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            write!(encoded, "%{byte:02X}").ok();
        }
    }
    HeaderValue::from_str(&format!("inline; filename=\"{plain}\"; filename*=UTF-8''{encoded}"))
        .unwrap_or(HeaderValue::from_static("inline"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_the_header() {
        for (name, wanted) in [
            ("Lodge 1.mp4", "inline; filename=\"Lodge 1.mp4\"; filename*=UTF-8''Lodge%201.mp4"),
            ("a\"; x=\r\nb", "inline; filename=\"a__ x___b\"; filename*=UTF-8''a%22%3B%20x%3D%0D%0Ab"),
            ("é", "inline; filename=\"_\"; filename*=UTF-8''%C3%A9"),
        ] {
            assert_eq!(disposition(name), wanted, "{name}");
        }
    }
}
