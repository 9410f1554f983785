//! One log line and one set of metrics per request. The query string is never logged: it may hold a signature.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;

use crate::caller::Caller;
use crate::layers::request_id::RequestId;
use crate::metrics;

pub async fn layer(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    // The pattern, not the path: labels must stay few.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |matched| matched.as_str().to_owned());
    let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();

    let response = next.run(request).await;

    let elapsed = started.elapsed();
    let status = response.status().as_u16();
    let key = response.extensions().get::<Caller>().map_or("-", |caller| caller.key_id.as_str());
    metrics::request_done(&method, &route, status, elapsed);
    tracing::info!(
        request_id, method = %method, route, path, status, key,
        duration_ms = elapsed.as_secs_f64() * 1000.0,
        "request"
    );
    response
}
