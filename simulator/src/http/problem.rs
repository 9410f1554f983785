//! Error answers in the service's own words.

use crate::schema;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use spool_provider::wire::InvalidField;

/// An answer with this body, as `application/problem+json`.
pub(crate) fn with_body(status: StatusCode, body: &Value) -> Response {
    let mut response = (status, format!("{body}\n")).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

/// An answer with a title and a sentence.
pub(crate) fn titled(status: StatusCode, title: &str, detail: &str) -> Response {
    with_body(status, &json!({"title": title, "detail": detail, "status": status.as_u16()}))
}

pub(crate) fn unauthenticated() -> Response {
    let detail = "You did not pass a valid authentication token";
    titled(StatusCode::UNAUTHORIZED, "Unauthenticated", detail)
}

pub(crate) fn not_found(what: &str) -> Response {
    with_body(StatusCode::NOT_FOUND, &json!({"detail": what, "status": 404}))
}

pub(crate) async fn no_such_page() -> Response {
    not_found("The requested resource could not be found.")
}

pub(crate) fn unknown_version() -> Response {
    let detail = "The specified version does not exist (or perhaps you don't have permission to use it?)";
    titled(StatusCode::UNPROCESSABLE_ENTITY, "Invalid version or not permitted", detail)
}

pub(crate) fn no_credit() -> Response {
    let detail = "You have insufficient credit to run this model. Go to \
        https://replicate.com/account/billing#billing to purchase credit. Once you purchase credit, please wait a \
        few minutes before trying again.";
    titled(StatusCode::PAYMENT_REQUIRED, "Insufficient credit", detail)
}

pub(crate) fn invalid(wrong: &[InvalidField]) -> Response {
    with_body(StatusCode::UNPROCESSABLE_ENTITY, &schema::problem(wrong))
}

pub(crate) fn bad_request(detail: &str) -> Response {
    titled(StatusCode::BAD_REQUEST, "Bad request", detail)
}

/// A 429 as of 2026: the seconds stand in the body and in the sentence.
pub(crate) fn throttled(seconds: u64, low_credit: bool) -> Response {
    let reason = if low_credit {
        " Your rate limit for creating predictions is reduced to 6 requests per minute with a burst of 1 requests \
         while you have less than $5.0 in credit."
    } else {
        ""
    };
    let detail = format!("Request was throttled.{reason} Your rate limit resets in ~{seconds}s.");
    let body = json!({"detail": detail, "status": 429, "retry_after": seconds});
    with_body(StatusCode::TOO_MANY_REQUESTS, &body)
}
