//! Writes the body of every refusal: ours ([`Refusal`] in the response's extensions) and those of axum and
//! tower (404 and 405 of the router, 413 of the body limit), so that no caller ever sees another shape.

use std::future::Future;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::error::{Code, Problem, Refusal};
use crate::layers::request_id::RequestId;
use crate::layers::request_log::Refused;

pub const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

pub async fn layer<F>(request: Request, next: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let instance = request.uri().path().to_owned();
    let request_id = RequestId::of(&request);
    let mut response = next(request).await;
    let refusal = match response.extensions_mut().remove::<Refusal>() {
        Some(refusal) => refusal,
        None if is_foreign_error(&response) => foreign(response.status()),
        None => return response,
    };
    response.extensions_mut().insert(refused(&refusal));
    let status = response.status();
    let problem = Problem {
        kind: format!("urn:spool:problem:{}", name_of(refusal.code)),
        title: status.canonical_reason().unwrap_or("Error").to_owned(),
        status: status.as_u16(),
        error: refusal.detail.clone(),
        detail: refusal.detail,
        instance,
        code: refusal.code,
        details: refusal.details,
        request_id: request_id.as_ref().to_owned(),
        extra: refusal.extra,
    };
    write(response, &problem)
}

fn write(response: Response, problem: &Problem) -> Response {
    let (mut parts, _) = response.into_parts();
    let body = serde_json::to_vec(problem).unwrap_or_default();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, CONTENT_TYPE);
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Response::from_parts(parts, Body::from(body))
}

/// An error that no handler of ours made: ours that are no refusals (`/readyz`) speak JSON.
fn is_foreign_error(response: &Response) -> bool {
    let status = response.status();
    (status.is_client_error() || status.is_server_error()) && !speaks_json(response.headers())
}

fn speaks_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json" || kind == CONTENT_TYPE)
}

fn foreign(status: StatusCode) -> Refusal {
    let (code, detail) = match status {
        StatusCode::NOT_FOUND => (Code::NotFound, "there is nothing at this path"),
        StatusCode::METHOD_NOT_ALLOWED => (
            Code::MethodNotAllowed,
            "this path does not take this method; the header allow lists those it takes",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => (Code::PayloadTooLarge, "the body is too large"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            (Code::UnsupportedMediaType, "the body is of a kind not taken here")
        }
        StatusCode::TOO_MANY_REQUESTS => (Code::RateLimited, "there were too many requests"),
        StatusCode::REQUEST_TIMEOUT => (Code::RequestTimeout, "the request took too long"),
        status if status.is_server_error() => {
            (Code::Internal, "something went wrong here; the request id finds it in the logs")
        }
        _ => (Code::BadRequest, "the request could not be understood"),
    };
    Refusal {
        status,
        code,
        detail: detail.to_owned(),
        details: None,
        extra: serde_json::Map::new(),
        headers: HeaderMap::new(),
        cause: None,
    }
}

/// The wire name of a code.
fn name_of(code: Code) -> String {
    match serde_json::to_value(code) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

/// For the line of the request: the caller sees only the sentence.
fn refused(refusal: &Refusal) -> Refused {
    Refused { class: name_of(refusal.code), cause: refusal.why() }
}
