//! Keys: nobody gets in without one, each scope opens what it should, and a bound key sees only its client.

use axum::body::Body;
use http::{Method, Request};
use serde_json::json;
use spool_db::keys::{self, KeyToken, Scope};
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::{TestApp, day, start};

/// Every route behind a key, with the scope it needs.
fn guarded() -> Vec<(Method, String, Scope)> {
    let id = Uuid::nil();
    let get = |path: &str| (Method::GET, path.replace("{id}", &id.to_string()), Scope::Read);
    let post = |path: &str| (Method::POST, path.replace("{id}", &id.to_string()), Scope::Write);
    vec![
        get("/api/v3/clients"),
        get("/api/v3/clients/{id}"),
        post("/api/v3/clients"),
        get("/api/v3/campaigns"),
        get("/api/v3/campaigns/{id}"),
        post("/api/v3/campaigns"),
        post("/api/v3/campaigns/{id}/create-job"),
        get("/api/v3/assets"),
        get("/api/v3/assets/{id}"),
        get("/api/v3/assets/{id}/data"),
        get("/api/v3/assets/{id}/thumbnail"),
        post("/api/v3/assets"),
        post("/api/v3/assets/from-url"),
        post("/api/v3/jobs/from-image-pairs"),
        post("/api/v3/jobs/from-property-photos"),
        get("/api/v3/jobs"),
        get("/api/v3/jobs/1"),
        (Method::DELETE, "/api/v3/jobs/1".to_owned(), Scope::Write),
        get("/api/v3/jobs/1/events"),
        post("/api/v3/jobs/1/actions"),
        post("/api/v3/jobs/1/duplicate"),
        post("/api/v3/jobs/1/reorder"),
        post("/api/v3/jobs/1/refine"),
        post("/api/v3/jobs/1/scenes/{id}/regenerate"),
        (Method::PUT, format!("/api/v3/jobs/1/scenes/{id}"), Scope::Write),
        (Method::PATCH, format!("/api/v3/jobs/1/scenes/{id}"), Scope::Write),
        (Method::DELETE, format!("/api/v3/jobs/1/scenes/{id}"), Scope::Write),
        get("/api/v3/generated-videos"),
        get("/api/v3/ai-videos"),
        post("/api/v3/jobs/1/approve"),
        post("/api/v3/jobs/1/retry"),
        post("/api/v3/jobs/retry"),
        post("/api/v3/jobs/dry-run"),
        post("/api/v3/jobs/1/cancel"),
        get("/api/v3/jobs/1/explain"),
        get("/api/v3/jobs/1/scenes"),
        get("/api/v3/jobs/1/scenes/{id}"),
        get("/api/v3/videos/1/combined"),
        get("/api/v3/videos/1/thumbnail"),
        (Method::GET, "/api/v3/admin/workers".to_owned(), Scope::Admin),
        (Method::GET, "/api/v3/admin/budgets".to_owned(), Scope::Admin),
        (Method::PUT, "/api/v3/admin/budgets".to_owned(), Scope::Admin),
        (Method::DELETE, "/api/v3/admin/budgets".to_owned(), Scope::Admin),
        (Method::POST, "/api/v3/admin/budgets/stop".to_owned(), Scope::Admin),
        (Method::DELETE, "/api/v3/admin/budgets/stop".to_owned(), Scope::Admin),
        (Method::GET, "/api/v3/admin/limits".to_owned(), Scope::Admin),
        (Method::PUT, "/api/v3/admin/limits".to_owned(), Scope::Admin),
        (Method::DELETE, "/api/v3/admin/limits".to_owned(), Scope::Admin),
        (Method::GET, "/api/v3/admin/limits/weights".to_owned(), Scope::Admin),
        (Method::PUT, "/api/v3/admin/limits/weights".to_owned(), Scope::Admin),
        (Method::GET, "/api/v3/admin/breakers".to_owned(), Scope::Admin),
        (Method::PUT, "/api/v3/admin/breakers".to_owned(), Scope::Admin),
        (Method::DELETE, "/api/v3/admin/breakers".to_owned(), Scope::Admin),
        (Method::GET, "/api/v3/admin/predictions".to_owned(), Scope::Admin),
        (Method::POST, format!("/api/v3/admin/predictions/{id}/resolve"), Scope::Admin),
        (Method::GET, "/api/v3/admin/custody".to_owned(), Scope::Admin),
        (Method::GET, "/api/v3/admin/orphans".to_owned(), Scope::Admin),
        (Method::GET, "/api/v3/admin/spend".to_owned(), Scope::Admin),
        (Method::GET, "/api/v3/admin/spend/waste".to_owned(), Scope::Admin),
    ]
}

async fn status(app: &TestApp, method: &Method, path: &str, key: Option<&str>) -> u16 {
    let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    app.send(request.body(Body::from("{}")).expect("a request")).await.status.as_u16()
}

#[sqlx::test(migrations = false)]
async fn each_scope_opens_what_it_should(pool: PgPool) {
    let app = start(pool).await;
    let mut keys = Vec::new();
    for scope in Scope::ALL {
        keys.push((*scope, app.new_key(&[*scope], None).await));
    }
    for (method, path, needed) in guarded() {
        assert_eq!(status(&app, &method, &path, None).await, 401, "{method} {path} without a key");
        for (scope, key) in &keys {
            let status = status(&app, &method, &path, Some(key)).await;
            if *scope >= needed {
                assert!(!matches!(status, 401 | 403), "{method} {path} with {scope}: {status}");
            } else {
                assert_eq!(status, 403, "{method} {path} with {scope}");
            }
        }
    }
    // What the document says is behind a key is exactly what was tried.
    let document = serde_json::to_value(spool_api::router::document()).expect("is JSON");
    let mut secured = 0;
    for item in document["paths"].as_object().expect("paths").values() {
        let with_key = |operation: &&serde_json::Value| operation["security"].to_string().contains("api_key");
        secured += item.as_object().expect("operations").values().filter(with_key).count();
    }
    assert_eq!(secured, guarded().len(), "a route is missing in this matrix");
}

#[sqlx::test(migrations = false)]
async fn only_whole_live_keys_open(pool: PgPool) {
    let app = start(pool).await;
    let path = "/api/v3/clients";
    assert_eq!(status(&app, &Method::GET, path, Some(&app.key)).await, 200);
    let mut wrong = app.key.clone();
    wrong.pop();
    wrong.push(if app.key.ends_with('0') { '1' } else { '0' });
    for key in ["", "x", "spool_abcd_0123456789abcdef0123456789abcdef", &wrong, &app.key[..app.key.len() - 1]]
    {
        assert_eq!(status(&app, &Method::GET, path, Some(key)).await, 401, "{key}");
    }
    let answer = app.get_bare(path).await;
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"spool\"");
    answer.is_problem(401, "unauthorized");

    let past = app.new_key_until(&[Scope::Admin], None, Some(day() - chrono::TimeDelta::days(3650))).await;
    assert_eq!(status(&app, &Method::GET, path, Some(&past)).await, 401, "expired");

    let revoked = app.new_key(&[Scope::Admin], None).await;
    assert_eq!(status(&app, &Method::GET, path, Some(&revoked)).await, 200);
    let id = KeyToken::parse(&revoked).expect("a key").id().to_owned();
    let mut conn = app.pool.acquire().await.expect("a connection");
    assert!(keys::revoke(&mut conn, &id).await.expect("revoked"));
    assert_eq!(status(&app, &Method::GET, path, Some(&revoked)).await, 401, "revoked");
    let listed = keys::list(&mut conn).await.expect("listed");
    let listed = listed.iter().find(|key| key.id == id).expect("is kept");
    assert!(listed.revoked_at.is_some() && listed.last_used_at.is_some());
}

#[sqlx::test(migrations = false)]
async fn a_bound_key_sees_only_its_client(pool: PgPool) {
    let mut app = start(pool).await;
    let foreign_campaign = app.lodge().await;
    let foreign_asset = app.get("/api/v3/assets").await.is(200)["data"][0]["id"].clone();
    let foreign_client = app.get("/api/v3/clients").await.is(200)["data"][0]["id"].clone();
    let body = json!({"campaign_id": foreign_campaign, "num_pairs": 1, "clip_duration": 4});
    let foreign_job = app.post("/api/v3/jobs/from-image-pairs", body.clone()).await.is(201)["job_id"].clone();

    let own = app.client("Own").await;
    app.key = app.new_key(&[Scope::Write], Some(own)).await;
    for path in [
        format!("/api/v3/clients/{}", foreign_client.as_str().expect("id")),
        format!("/api/v3/campaigns/{foreign_campaign}"),
        format!("/api/v3/assets/{}", foreign_asset.as_str().expect("id")),
        format!("/api/v3/assets/{}/data", foreign_asset.as_str().expect("id")),
        format!("/api/v3/assets/{}/thumbnail", foreign_asset.as_str().expect("id")),
        format!("/api/v3/jobs/{foreign_job}"),
        format!("/api/v3/jobs/{foreign_job}/scenes"),
        format!("/api/v3/videos/{foreign_job}/combined"),
    ] {
        app.get(&path).await.is_problem(404, "not_found");
    }
    for path in ["/api/v3/campaigns", "/api/v3/assets"] {
        assert_eq!(app.get(path).await.is(200)["meta"]["total"], 0, "{path}");
    }
    assert_eq!(app.get("/api/v3/clients").await.is(200)["meta"]["total"], 1);
    app.post(&format!("/api/v3/jobs/{foreign_job}/approve"), json!({})).await.is_problem(404, "not_found");
    app.post("/api/v3/jobs/from-image-pairs", body).await.is_problem(404, "not_found");
    app.post("/api/v3/clients", json!({"name": "x"})).await.is_problem(403, "forbidden");
    let named = json!({"name": "x", "client_id": foreign_client});
    app.post("/api/v3/campaigns", named).await.is_problem(404, "not_found");
    // It need not name its own client.
    let campaign = app.post("/api/v3/campaigns", json!({"name": "mine"})).await.is(201);
    assert_eq!(campaign["data"]["clientId"], json!(own));
}
