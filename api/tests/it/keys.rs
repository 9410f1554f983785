//! /admin/keys: made, listed, limited, revoked; and the keys of older systems.

use http::Method;
use secrecy::SecretString;
use serde_json::{Value, json};
use spool_api::older_settings;
use sqlx::PgPool;

use crate::app::{TestApp, day, start};

const KEYS: &str = "/api/v3/admin/keys";

async fn with(app: &TestApp, key: &str, method: Method, path: &str, body: Value) -> crate::app::Answer {
    let request = http::Request::builder().method(method).uri(path).header("x-api-key", key);
    let request = request.header("content-type", "application/json");
    app.send(request.body(axum::body::Body::from(body.to_string())).expect("a request")).await
}

#[sqlx::test(migrations = false)]
async fn a_key_is_made_used_and_revoked(pool: PgPool) {
    let app = start(pool).await;
    let client = app.client("A").await;
    let body = json!({"name": "website", "scopes": ["read", "write", "read"], "clientId": client, "expires_days": 3650});
    let made = app.post(KEYS, body).await;
    assert_eq!(made.header("cache-control"), "no-store");
    let made = made.is(201);
    let key = made["key"].as_str().expect("a key").to_owned();
    let id = made["data"]["id"].as_str().expect("an id").to_owned();
    assert!(key.starts_with(&format!("spool_{id}_")));
    assert_eq!(made["data"]["scopes"], json!(["read", "write"]));
    assert_eq!((&made["data"]["client_id"], &made["data"]["active"]), (&json!(client), &json!(true)));
    assert_eq!(made["data"]["created_by"], app.key.split('_').nth(1).expect("an id"));
    assert_eq!(made["data"]["expires_at"], json!(day() + chrono::TimeDelta::days(3650)));
    assert_eq!(made["data"]["last_used_at"], Value::Null);

    assert_eq!(with(&app, &key, Method::GET, "/api/v3/clients", json!({})).await.is(200)["meta"]["total"], 1);
    let listed = app.get(&format!("{KEYS}?limit=1")).await.is(200);
    assert_eq!((&listed["meta"]["total"], &listed["meta"]["limit"]), (&json!(2), &json!(1)));
    assert_eq!(listed["data"][0]["id"], json!(id), "newest first");
    assert!(listed["data"][0]["last_used_at"].is_string());
    assert!(!listed.to_string().contains(key.rsplit('_').next().expect("a secret")), "no secret is listed");

    for _ in 0..2 {
        assert_eq!(app.json(Method::DELETE, &format!("{KEYS}/{id}"), &json!({})).await.status, 204);
    }
    with(&app, &key, Method::GET, "/api/v3/clients", json!({})).await.is_problem(401, "unauthorized");
    let listed = app.get(KEYS).await.is(200);
    assert_eq!(listed["data"][0]["active"], false);
    assert!(listed["data"][0]["revoked_at"].is_string());
    app.json(Method::DELETE, &format!("{KEYS}/unknown"), &json!({})).await.is_problem(404, "not_found");
}

#[sqlx::test(migrations = false)]
async fn keys_that_cannot_be_are_refused(pool: PgPool) {
    let app = start(pool).await;
    let long = "x".repeat(256);
    for (body, field) in [
        (json!({"scopes": ["read"]}), "name"),
        (json!({"name": long, "scopes": ["read"]}), "name"),
        (json!({"name": "x"}), "scopes"),
        (json!({"name": "x", "scopes": []}), "scopes"),
        (json!({"name": "x", "scopes": ["root"]}), "scopes"),
        (json!({"name": "x", "scopes": ["read"], "client_id": uuid::Uuid::nil()}), "client_id"),
        (json!({"name": "x", "scopes": ["read"], "expires_days": 0}), "expires_days"),
        (
            json!({"name": "x", "scopes": ["read"], "expires_days": 1, "expires_at": "2027-01-01T00:00:00Z"}),
            "expires_days",
        ),
        (json!({"name": "x", "scopes": ["read"], "expires_at": "2026-01-01T00:00:00Z"}), "expires_at"),
        (json!({"name": "x", "scopes": ["read"], "requests_per_minute": 0}), "requests_per_minute"),
    ] {
        let problem = app.post(KEYS, body).await.is_problem(422, "validation_failed");
        assert!(problem["details"][field].is_array(), "{field}: {problem}");
    }
    assert_eq!(app.get(KEYS).await.is(200)["meta"]["total"], 1, "only the one that asks");
}

#[sqlx::test(migrations = false)]
async fn a_key_with_a_rate_is_told_when_to_come_again(pool: PgPool) {
    let app = start(pool).await;
    let made =
        app.post(KEYS, json!({"name": "slow", "scopes": ["read"], "requests_per_minute": 1})).await.is(201);
    let key = made["key"].as_str().expect("a key");
    with(&app, key, Method::GET, "/api/v3/clients", json!({})).await.is(200);
    let refused = with(&app, key, Method::GET, "/api/v3/assets", json!({})).await;
    let seconds: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=61).contains(&seconds), "{seconds}");
    refused.is_problem(429, "rate_limited");
    // Nobody else is held up.
    app.get("/api/v3/clients").await.is(200);
}

#[sqlx::test(migrations = false)]
async fn keys_of_older_systems_open_and_can_be_revoked(pool: PgPool) {
    let app = start(pool).await;
    let tokens =
        || older_settings::keys(&SecretString::from("an-older-key-0123, another-older-key")).expect("keys");
    older_settings::adopt(&app.state.db, &tokens()).await.expect("taken over");
    older_settings::adopt(&app.state.db, &tokens()).await.expect("a second process does no harm");
    let key = "an-older-key-0123";
    with(&app, key, Method::POST, "/api/v3/clients", json!({"name": "A"})).await.is(201);
    with(&app, key, Method::GET, KEYS, json!({})).await.is_problem(403, "forbidden");
    with(&app, "an-older-key-0124", Method::GET, "/api/v3/clients", json!({}))
        .await
        .is_problem(401, "unauthorized");
    let listed = app.get(KEYS).await.is(200);
    let older = listed["data"]
        .as_array()
        .expect("keys")
        .iter()
        .find(|key| key["last_used_at"].is_string() && key["name"] == "API_AUTH_KEY");
    let id = older.expect("is listed")["id"].as_str().expect("an id").to_owned();
    assert_eq!(app.json(Method::DELETE, &format!("{KEYS}/{id}"), &json!({})).await.status, 204);
    older_settings::adopt(&app.state.db, &tokens()).await.expect("taken over");
    with(&app, key, Method::GET, "/api/v3/clients", json!({})).await.is_problem(401, "unauthorized");
}
