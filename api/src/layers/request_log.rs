//! One log line, one span and one set of metrics per request. The query string is never logged: it may hold a signature. Every line
//! that is written while a request is answered carries its id.

use std::future::Future;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use http::StatusCode;
use spool_telemetry::logging::milliseconds;
use spool_telemetry::traces::{self, Kind};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::caller::Caller;
use crate::layers::request_id::RequestId;
use crate::metrics::{self, Held};
use crate::origin;

/// Asked every few seconds by machines: not worth a trace.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Why a request was refused, for its line. `problem` leaves it in the response.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The code that the caller was told.
    pub class: String,
    /// What the caller was not told.
    pub cause: Option<String>,
}

pub async fn layer<F>(request: Request, next: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let started = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    // The pattern, not the path: labels must stay few.
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let request_id = RequestId::of(&request);
    // Of the highest level, so that lines carry its fields whatever filter is set.
    let span = tracing::error_span!(
        "request",
        request_id = &*request_id,
        trace_id = Empty,
        otel.name = Empty,
        otel.kind = Empty
    );
    if PROBES.contains(&route) {
        traces::leave_out(&span);
    } else if traces::is_on() {
        let parent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
        traces::open(&span, Kind::Server, &format!("{method} {route}"), parent);
    }

    let response = origin::within(request_id, next(request)).instrument(span.clone()).await;

    let elapsed = started.elapsed();
    let status = response.status();
    let held = response.extensions().get::<Held>().is_some();
    metrics::request_done(&method, route, status.as_u16(), (!held).then_some(elapsed));
    let key_id = response.extensions().get::<Caller>().map(|caller| caller.key_id.as_str());
    let refused = response.extensions().get::<Refused>();
    let method = method.as_str();
    tell_span(&span, method, route, status, refused);
    let (class, cause) =
        refused.map_or((None, None), |refused| (Some(refused.class.as_str()), refused.cause.as_deref()));
    let (status, duration_ms) = (status.as_u16(), milliseconds(elapsed));
    let _in = span.enter();
    if status < 500 {
        tracing::info!(
            method,
            route,
            path,
            status,
            key_id,
            duration_ms,
            error.class = class,
            error = cause,
            "request"
        );
    } else {
        tracing::error!(
            method,
            route,
            path,
            status,
            key_id,
            duration_ms,
            error.class = class,
            error = cause,
            "request"
        );
    }
    response
}

fn tell_span(span: &Span, method: &str, route: &str, status: StatusCode, refused: Option<&Refused>) {
    if !traces::is_on() {
        return;
    }
    traces::note(span, "http.request.method", method.to_owned());
    traces::note(span, "http.route", route.to_owned());
    traces::note(span, "http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        traces::fail(span, refused.map_or("internal", |refused| refused.class.as_str()));
    }
}
