//! What browsers are told: which pages may call, and to do nothing clever.

use axum::body::Body;
use http::{Method, Request};
use sqlx::PgPool;

use crate::app::{Answer, TestApp, start};

/// The origin that the test's API is configured with.
const PAGE: &str = "https://app.example.com";

async fn preflight(app: &TestApp, origin: &str, method: &str, headers: &str) -> Answer {
    let request = Request::builder()
        .method(Method::OPTIONS)
        .uri("/api/v3/clients")
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", headers);
    app.send(request.body(Body::empty()).expect("a request")).await
}

#[sqlx::test(migrations = false)]
async fn configured_pages_may_call_and_others_not(pool: PgPool) {
    let app = start(pool).await;
    let allowed = preflight(&app, PAGE, "PATCH", "x-api-key,content-type,idempotency-key").await;
    assert!(allowed.status.is_success(), "no key is asked for");
    assert_eq!(allowed.header("access-control-allow-origin"), PAGE);
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        assert!(allowed.header("access-control-allow-methods").contains(method), "{method}");
    }
    for header in ["x-api-key", "authorization", "range", "if-none-match", "last-event-id"] {
        assert!(allowed.header("access-control-allow-headers").contains(header), "{header}");
    }
    assert_eq!(
        allowed.header("access-control-allow-credentials"),
        "",
        "keys travel in headers, not in cookies"
    );

    let answer = app.get_with("/api/v3/clients", "origin", PAGE).await;
    assert_eq!(answer.header("access-control-allow-origin"), PAGE);
    for header in ["etag", "retry-after", "content-range", "x-request-id"] {
        assert!(answer.header("access-control-expose-headers").contains(header), "{header}");
    }
    let refused = app
        .send(Request::get("/api/v3/clients").header("origin", PAGE).body(Body::empty()).expect("a request"));
    assert_eq!(
        refused.await.header("access-control-allow-origin"),
        PAGE,
        "a page can read why it was refused"
    );

    for origin in
        ["https://evil.example.com", "https://app.example.com.evil.com", "http://app.example.com", "null"]
    {
        let answer = preflight(&app, origin, "GET", "x-api-key").await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
        let answer = app.get_with("/api/v3/clients", "origin", origin).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
    }
}

#[sqlx::test(migrations = false)]
async fn every_answer_tells_them_to_do_nothing_clever(pool: PgPool) {
    let app = start(pool).await;
    for path in ["/healthz", "/api/openapi.json", "/api/v3/clients", "/api/v3/jobs/x", "/nowhere"] {
        let answer = app.get(path).await;
        for (name, wanted) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("strict-transport-security", "max-age=63072000"),
        ] {
            assert_eq!(answer.header(name), wanted, "{path}");
        }
        assert!(answer.header("content-security-policy").contains("default-src 'none'"), "{path}");
        assert!(!answer.header("cache-control").is_empty(), "{path}");
    }
}
