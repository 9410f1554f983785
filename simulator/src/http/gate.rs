//! What every request to the Replicate API passes: the token, the rate limit, and the faults that strike
//! requests as such. Creating requests meet their faults later, when their model is known.

use crate::bucket::Answer;
use crate::clock::machine_time;
use crate::fault::{Fault, RetryAfterIn, Route, Stage, When};
use crate::faults::Call;
use crate::http::problem;
use crate::net::Cut;
use crate::requests::Arrival;
use crate::sim::Sim;
use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures::{StreamExt as _, stream};
use serde_json::json;
use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

/// Whether a token came along, by either scheme.
pub(crate) fn has_token(headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("Token "));
    token.is_some_and(|token| !token.trim().is_empty())
}

pub(crate) async fn gate(State(sim): State<Arc<Sim>>, request: Request, next: Next) -> Response {
    if !has_token(request.headers()) {
        return problem::unauthenticated();
    }
    let path = request.uri().path();
    let creates = request.method() == Method::POST && path.ends_with("/predictions");
    let at = machine_time();
    let answer = if creates { sim.take_create() } else { sim.take_read() };
    sim.arrivals.note(Arrival { at, create: creates, throttled: matches!(answer, Answer::Wait(_)) });
    let left = match answer {
        Answer::Go { left } => left,
        Answer::Wait(time) => {
            let low = creates && sim.has_low_credit();
            return limited(problem::throttled(time.as_secs_f64().ceil().max(1.0) as u64, low), 0);
        }
    };
    if creates {
        return limited(next.run(request).await, left);
    }
    let model = predicted_model(&sim, path);
    let call =
        Call { route: Some(route(request.method(), path)), model: model.as_deref(), ..Call::default() };
    let faults = sim.strike(Stage::Http, call);
    let cut = cut_of(&request);
    if let Some(response) = before(&faults, &cut).await {
        return limited(response, left);
    }
    let response = next.run(request).await;
    limited(after(&faults, &cut, response).await, left)
}

fn limited(mut response: Response, left: u64) -> Response {
    let headers = response.headers_mut();
    headers.insert("ratelimit-remaining", HeaderValue::from(left));
    headers.insert("ratelimit-reset", HeaderValue::from_static("1"));
    response
}

fn route(method: &Method, path: &str) -> Route {
    let path = path.trim_start_matches("/v1/");
    match path.split('/').next().unwrap_or_default() {
        "predictions" if path.ends_with("/cancel") => Route::Cancel,
        "predictions" if method == Method::GET && path.contains('/') => Route::Get,
        "predictions" => Route::List,
        "files" => Route::Files,
        "models" | "collections" | "deployments" => Route::Models,
        _ => Route::Account,
    }
}

fn predicted_model(sim: &Sim, path: &str) -> Option<String> {
    let id = path.strip_prefix("/v1/predictions/")?.split('/').next()?;
    sim.book.get(id).map(|record| record.model)
}

/// The handle that cuts this request's connection.
pub(crate) fn cut_of(request: &Request) -> Cut {
    request.extensions().get::<ConnectInfo<Cut>>().map(|info| info.0.clone()).unwrap_or_default()
}

/// What comes instead of handling the request.
pub(crate) async fn before(faults: &[Fault], cut: &Cut) -> Option<Response> {
    for fault in faults {
        match fault {
            Fault::Latency { response_ms, when: When::Before } => {
                tokio::time::sleep(Duration::from_millis(*response_ms)).await;
            }
            Fault::Throttle { retry_after, say_in } => return Some(throttle(*retry_after, *say_in)),
            Fault::NoCredit => return Some(problem::no_credit()),
            Fault::HttpError { status, when: When::Before } => return Some(error(*status)),
            Fault::DropResponse { when: When::Before } => {
                cut.now();
                return Some(StatusCode::BAD_GATEWAY.into_response());
            }
            _ => {}
        }
    }
    None
}

/// What becomes of an answer.
pub(crate) async fn after(faults: &[Fault], cut: &Cut, response: Response) -> Response {
    for fault in faults {
        match fault {
            Fault::Latency { response_ms, when: When::After } => {
                tokio::time::sleep(Duration::from_millis(*response_ms)).await;
            }
            Fault::HttpError { status, when: When::After } => return error(*status),
            Fault::DropResponse { when: When::After } => {
                cut.now();
                return response;
            }
            Fault::BreakOff => return half(response).await,
            _ => {}
        }
    }
    response
}

/// The first half of an answer that promises all of it; then the connection breaks.
async fn half(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    // The bodies of this API are in memory already.
    let whole = to_bytes(body, usize::MAX).await.unwrap_or_default();
    head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let first = stream::iter([Ok(whole.slice(..whole.len() / 2))]);
    let broken = stream::once(async {
        // A pause makes the server send what it has; else the answer would vanish as a whole.
        tokio::time::sleep(Duration::from_millis(10)).await;
        Err(Error::from(ErrorKind::ConnectionReset))
    });
    Response::from_parts(head, Body::from_stream(first.chain(broken)))
}

fn throttle(seconds: u64, say_in: RetryAfterIn) -> Response {
    match say_in {
        RetryAfterIn::Body => problem::throttled(seconds, false),
        RetryAfterIn::Header => {
            let body = Json(json!({"detail": "Request was throttled.", "status": 429}));
            let mut response = (StatusCode::TOO_MANY_REQUESTS, body).into_response();
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
        RetryAfterIn::Text => {
            let detail = format!("Request was throttled. Your rate limit resets in ~{seconds}s.");
            (StatusCode::TOO_MANY_REQUESTS, Json(json!({"detail": detail}))).into_response()
        }
    }
}

fn error(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match status {
        StatusCode::UNAUTHORIZED => problem::unauthenticated(),
        StatusCode::PAYMENT_REQUIRED => problem::no_credit(),
        StatusCode::NOT_FOUND => problem::not_found("The requested resource could not be found."),
        _ if status.is_server_error() => {
            // What stands in front of the service answers in HTML.
            let text = format!("<html><head><title>{status}</title></head><body>{status}</body></html>");
            (status, [(header::CONTENT_TYPE, "text/html")], text).into_response()
        }
        _ => {
            problem::titled(status, status.canonical_reason().unwrap_or("Error"), "Injected by a fault rule")
        }
    }
}
