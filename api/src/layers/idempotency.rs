//! Takes the header `idempotency-key` of a POST and what it asks, and lets the handler run under them.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, Method, header};
use spool_db::idempotency::Use;
use spool_media::key::Digest;
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::{ApiError, Code};
use crate::idempotency::KeyedRequest;
use crate::limits::MOST_JSON_BYTES;
use crate::state::AppState;

pub const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const LONGEST: usize = 255;

pub async fn layer(state: &AppState, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key(&HEADER) {
        return next.run(request).await;
    }
    match keyed(request).await {
        Ok((this, request)) => KeyedRequest::new(this).run(state.db.pool(), next.run(request)).await,
        Err(error) => error.into_response(),
    }
}

async fn keyed(request: Request) -> Result<(Use, Request), ApiError> {
    let key = key(request.headers())?;
    let caller = request
        .extensions()
        .get::<Caller>()
        .map(|caller| caller.key_id.clone())
        .ok_or_else(|| ApiError::internal("the route has no key check"))?;
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let kind = text(&parts.headers, &header::CONTENT_TYPE).unwrap_or_default();
    let (asked, body) = if is_form(kind) {
        // A form may be larger than memory, and a client that sends it again draws new boundary lines: its length has to do.
        let length = text(&parts.headers, &header::CONTENT_LENGTH).unwrap_or_default();
        (length.as_bytes().to_vec(), body)
    } else {
        let bytes = to_bytes(body, MOST_JSON_BYTES).await.map_err(|_| {
            ApiError::too_large("the body is larger than 1 MB, or could not be read to its end")
        })?;
        (bytes.to_vec(), Body::from(bytes))
    };
    let question = [target.as_bytes(), b"\n", asked.as_slice()].concat();
    let digest = Digest::of(&question).as_str().to_owned();
    Ok((Use { api_key: caller, key, request: Uuid::now_v7(), digest }, Request::from_parts(parts, body)))
}

fn is_form(content_type: &str) -> bool {
    content_type.trim_start().to_ascii_lowercase().starts_with("multipart/")
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// 1 to 255 visible characters; the quotes of a structured field are not part of it.
fn key(headers: &HeaderMap) -> Result<String, ApiError> {
    let mut given = headers.get_all(&HEADER).iter();
    let first = given.next().and_then(|value| value.to_str().ok()).map(str::trim).unwrap_or_default();
    let bare = first.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(first);
    let is_key =
        !bare.is_empty() && bare.len() <= LONGEST && bare.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_key || given.next().is_some() {
        let why =
            format!("the header idempotency-key must be one word of 1 to {LONGEST} visible ASCII characters");
        return Err(ApiError::bad_request(Code::InvalidIdempotencyKey, why));
    }
    Ok(bare.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn keys_are_single_visible_words() {
        let long = "x".repeat(256);
        for (given, wanted) in [
            ("8e03978e-40d5-43dd-bc93-6894a57f9324", Some("8e03978e-40d5-43dd-bc93-6894a57f9324")),
            ("\"quoted\"", Some("quoted")),
            (" a ", Some("a")),
            ("", None),
            ("\"\"", None),
            ("a b", None),
            (long.as_str(), None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_str(given).expect("a header"));
            assert_eq!(key(&headers).ok().as_deref(), wanted, "{given}");
        }
        let mut twice = HeaderMap::new();
        twice.append(HEADER, HeaderValue::from_static("a"));
        twice.append(HEADER, HeaderValue::from_static("b"));
        assert_eq!(key(&twice).expect_err("two").code(), Code::InvalidIdempotencyKey);
    }
}
