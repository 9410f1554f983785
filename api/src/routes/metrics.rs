//! GET /metrics, for Prometheus. Public: it holds counts and times, no names of ours or yours.

use axum::Extension;
use axum::response::{IntoResponse, Response};
use http::header;
use spool_telemetry::metrics::Metrics;

/// The metrics of this process.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "operation",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn metrics(Extension(metrics): Extension<Metrics>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()).into_response()
}
