//! Is the process alive, and can it do its work. Public, and silent about why not: that is in the logs.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::readiness;
use crate::state::AppState;

#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`.
    pub status: &'static str,
    pub version: &'static str,
}

/// Answers as long as the process lives.
#[utoipa::path(get, path = "/healthz", operation_id = "health", tag = "operation", responses((status = 200, body = Health)))]
pub async fn healthz() -> Json<Health> {
    Json(Health { status: "ok", version: spool_telemetry::build::VERSION })
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether requests can be served.
    pub ready: bool,
    /// Postgres answers.
    pub database: bool,
    /// Its schema is the one this program knows.
    pub migrations: bool,
    /// Media can be stored.
    pub storage: bool,
}

/// Says whether the database, its schema and the media store can be used.
#[utoipa::path(get, path = "/readyz", operation_id = "ready", tag = "operation",
    responses((status = 200, body = Readiness), (status = 503, body = Readiness, description = "Not now")))]
pub async fn readyz(State(state): State<AppState>) -> Response {
    let found = readiness::check(&state).await;
    let body = Readiness {
        ready: found.is_ready(),
        database: found.database,
        migrations: found.migrations,
        storage: found.storage,
    };
    let status = if body.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}
