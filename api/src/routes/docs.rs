//! GET /api/docs: the OpenAPI document as a page to browse. Three small files of our own that are part of the program: nothing comes
//! from elsewhere, neither when it is built nor when it is read.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use spool_media::key::Digest;

use crate::etag;
use crate::routes::openapi::REVALIDATED;

/// Only what this server serves, and no script that stands in the page itself.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

/// The reference page of this API, drawn from its document.
#[utoipa::path(get, path = "/api/docs", operation_id = "docs", tag = "operation",
    responses((status = 200, body = String, content_type = "text/html"), (status = 304, description = "Unchanged")))]
pub async fn page(headers: HeaderMap) -> Response {
    answer(&headers, "text/html; charset=utf-8", include_str!("../../docs/index.html"))
}

/// The script of the reference page.
#[utoipa::path(get, path = "/api/docs/docs.js", operation_id = "docs_script", tag = "operation",
    responses((status = 200, body = String, content_type = "text/javascript"), (status = 304, description = "Unchanged")))]
pub async fn script(headers: HeaderMap) -> Response {
    answer(&headers, "text/javascript; charset=utf-8", include_str!("../../docs/docs.js"))
}

/// The looks of the reference page.
#[utoipa::path(get, path = "/api/docs/docs.css", operation_id = "docs_style", tag = "operation",
    responses((status = 200, body = String, content_type = "text/css"), (status = 304, description = "Unchanged")))]
pub async fn style(headers: HeaderMap) -> Response {
    answer(&headers, "text/css; charset=utf-8", include_str!("../../docs/docs.css"))
}

fn answer(headers: &HeaderMap, content_type: &'static str, text: &'static str) -> Response {
    let tag = Digest::of(text.as_bytes()).etag();
    let tag = HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""));
    let mut answer = HeaderMap::new();
    answer.insert(header::CACHE_CONTROL, REVALIDATED);
    answer.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    answer.insert(header::ETAG, tag.clone());
    if etag::none_match(headers, &tag) {
        return (StatusCode::NOT_MODIFIED, answer).into_response();
    }
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    (answer, text).into_response()
}
