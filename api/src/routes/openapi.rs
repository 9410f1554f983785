//! GET /api/openapi.json and /api/openapi: this API, described.

use std::sync::Arc;

use axum::Extension;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::etag;

/// What is always there and seldom changes: ask again, the tag makes it cheap.
pub const REVALIDATED: HeaderValue = HeaderValue::from_static("no-cache");

/// The document as text, with its entity tag.
#[derive(Debug)]
pub struct Document {
    pub text: String,
    pub tag: HeaderValue,
}

/// The OpenAPI document of this server.
#[utoipa::path(get, path = "/api/openapi.json", operation_id = "openapi_json", tag = "operation",
    responses((status = 200, body = Object, content_type = "application/json",
        example = json!({"openapi": "3.1.0", "info": {"title": "Spool", "version": "0.1.0"}, "paths": {}})), (status = 304, description = "Unchanged")))]
pub async fn json(Extension(document): Extension<Arc<Document>>, headers: HeaderMap) -> Response {
    answer(&document, &headers)
}

/// The same under its older name.
#[utoipa::path(get, path = "/api/openapi", operation_id = "openapi", tag = "operation",
    responses((status = 200, body = Object, content_type = "application/json",
        example = json!({"openapi": "3.1.0", "info": {"title": "Spool", "version": "0.1.0"}, "paths": {}})), (status = 304, description = "Unchanged")))]
pub async fn plain(Extension(document): Extension<Arc<Document>>, headers: HeaderMap) -> Response {
    answer(&document, &headers)
}

fn answer(document: &Document, headers: &HeaderMap) -> Response {
    let mut answer = HeaderMap::new();
    answer.insert(header::ETAG, document.tag.clone());
    answer.insert(header::CACHE_CONTROL, REVALIDATED);
    if etag::none_match(headers, &document.tag) {
        return (StatusCode::NOT_MODIFIED, answer).into_response();
    }
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (answer, document.text.clone()).into_response()
}
