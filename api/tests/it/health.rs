//! Health, readiness, metrics and workers.

use serde_json::json;
use sqlx::PgPool;

use crate::app::start;

#[sqlx::test(migrations = false)]
async fn alive_ready_and_measured(pool: PgPool) {
    let app = start(pool).await;
    assert_eq!(app.get_bare("/healthz").await.is(200)["status"], "ok");
    let ready = app.get_bare("/readyz").await.is(200);
    assert_eq!(ready, json!({"ready": true, "database": true, "migrations": true, "storage": true}));

    app.get("/api/v3/clients").await.is(200);
    app.get("/some/unknown/path").await;
    let metrics = app.get_bare("/metrics").await;
    let text = String::from_utf8(metrics.body).expect("is text");
    assert!(text.contains("spool_http_requests_total{"), "{text}");
    assert!(text.contains("route=\"/api/v3/clients\""), "{text}");
    assert!(text.contains("route=\"unmatched\"") && !text.contains("/some/unknown"), "{text}");
    assert!(metrics.headers["content-type"].to_str().expect("text").starts_with("text/plain"));

    let workers = app.get("/api/v3/admin/workers").await.is(200);
    assert_eq!(workers, json!({"data": [], "meta": {"total": 0}}));
}
