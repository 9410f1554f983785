//! GET /metrics, for Prometheus. Public: it holds counts and times, no names of ours or yours.

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use spool_telemetry::metrics::Metrics;
use spool_telemetry::programs;

use crate::figures;
use crate::state::AppState;

/// The metrics of this process, and the figures of the database, which are those of the fleet.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "operation",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn metrics(State(state): State<AppState>, Extension(metrics): Extension<Metrics>) -> Response {
    let pool = state.db.pool();
    programs::show_pool(pool.size(), pool.num_idle(), pool.options().get_max_connections());
    let mut page = metrics.render();
    figures::write_to(&mut page, pool).await;
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page).into_response()
}
