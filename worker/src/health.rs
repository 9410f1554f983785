//! `/metrics` and `/healthz` of this process.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use spool_telemetry::metrics::Metrics;
use spool_telemetry::programs;
use sqlx::PgPool;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves until `stop`; returns the address at once.
pub(crate) async fn serve(
    listen: SocketAddr,
    metrics: Metrics,
    pool: PgPool,
    stop: CancellationToken,
) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let shown = pool.clone();
    let app = Router::new()
        .route("/metrics", get(move || async move { page(&metrics, &shown) }))
        .route("/healthz", get(move || healthy(pool.clone())));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned()).await {
            tracing::error!(error = &error as &dyn std::error::Error, "the metrics listener ended");
        }
    });
    Ok(address)
}

/// What this process counts of itself. Figures of the database are shown by the API.
fn page(metrics: &Metrics, pool: &PgPool) -> String {
    programs::show_pool(pool.size(), pool.num_idle(), pool.options().get_max_connections());
    metrics.render()
}

/// A worker that cannot reach Postgres cannot work; it is not restarted for that, only shown.
async fn healthy(pool: PgPool) -> (StatusCode, &'static str) {
    match pool.acquire().await {
        Ok(_) => (StatusCode::OK, "ok"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "Postgres cannot be reached"),
    }
}
