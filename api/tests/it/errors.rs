//! Refusals that no handler makes: each has the same body as those that one does.

use axum::body::Body;
use http::{Method, Request};
use serde_json::json;
use spool_api::layers::edge;
use spool_api::layers::headers::ByTls;
use sqlx::PgPool;

use crate::app::start;

#[sqlx::test(migrations = false)]
async fn every_family_has_the_same_body(pool: PgPool) {
    let app = start(pool).await;
    app.get_bare("/nothing/here").await.is_problem(404, "not_found");
    app.get_bare("/api/v3").await.is_problem(404, "not_found");
    let post = |path: &str| app.request(Method::POST, path);
    let wrong = app.send(post("/healthz").body(Body::empty()).expect("a request")).await;
    assert!(wrong.header("allow").contains("GET"));
    wrong.is_problem(405, "method_not_allowed");

    let json_post = |body: &'static str| {
        post("/api/v3/clients")
            .header("content-type", "application/json")
            .body(Body::from(body))
            .expect("a request")
    };
    for broken in ["", "{", "{\"name\":}", "{\"name\":\"\\ud800\"}", "nope"] {
        app.send(json_post(broken)).await.is_problem(400, "malformed_json");
    }
    for shape in ["[]", "null", "\"name\"", "7"] {
        app.send(json_post(shape)).await.is_problem(422, "validation_failed");
    }
    let untyped = post("/api/v3/clients").body(Body::from("{\"name\":\"a\"}")).expect("a request");
    app.send(untyped).await.is_problem(415, "unsupported_media_type");
    let large = json!({"name": "a", "description": "x".repeat(2 << 20)});
    app.post("/api/v3/clients", large.clone()).await.is_problem(413, "payload_too_large");
    app.post("/api/v3/assets", large).await.is_problem(413, "payload_too_large");
    app.get("/api/v3/jobs/abc").await.is_problem(400, "invalid_id");
    app.get("/api/v3/jobs/99999999999999999999").await.is_problem(400, "invalid_id");
    app.get("/api/v3/jobs/1/scenes/abc").await.is_problem(400, "invalid_id");
    app.get("/api/v3/clients?limit=x").await.is_problem(400, "invalid_query");
    app.get("/api/v3/assets?type=a%00b").await.is_problem(400, "invalid_query");
}

#[sqlx::test(migrations = false)]
async fn request_ids_are_kept_when_sane(pool: PgPool) {
    let app = start(pool).await;
    let answer = app.get_with("/nothing", "x-request-id", "from-the-frontend.1").await;
    assert_eq!(answer.is_problem(404, "not_found")["request_id"], "from-the-frontend.1");
    let answer = app.get_with("/healthz", "x-request-id", "a b\"c").await;
    assert!(uuid::Uuid::parse_str(answer.header("x-request-id")).is_ok(), "ours instead");
    for name in ["x-content-type-options", "content-security-policy", "referrer-policy", "cache-control"] {
        assert!(!answer.header(name).is_empty(), "{name}");
    }
}

#[sqlx::test(migrations = false)]
async fn a_lost_database_is_said_plainly(pool: PgPool) {
    let app = start(pool).await;
    app.pool.close().await;
    let answer = app.get("/api/v3/clients").await;
    assert_eq!(answer.header("retry-after"), "2");
    answer.is_problem(503, "unavailable");
    let ready = app.get_bare("/readyz").await;
    assert_eq!(
        (ready.is(503)["database"].clone(), ready.json()["storage"].clone()),
        (json!(false), json!(true))
    );
    app.get_bare("/healthz").await.is(200);
}

#[sqlx::test(migrations = false)]
async fn a_panic_is_an_answer(pool: PgPool) {
    let app = start(pool).await;
    let router = axum::Router::new()
        .route("/boom", axum::routing::get(|| async { panic!("a secret detail") as () }))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(spool_api::layers::panic::respond))
        .layer(axum::middleware::from_fn_with_state(ByTls(false), edge::layer));
    let app = crate::app::TestApp { router, ..app };
    let answer = app.send(Request::get("/boom").body(Body::empty()).expect("a request")).await;
    let problem = answer.is_problem(500, "internal");
    assert!(!problem.to_string().contains("secret"), "{problem}");
}
