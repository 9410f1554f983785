//! Keys: nobody gets in without one, each scope opens what it should, and a bound key sees only its client.

use axum::body::Body;
use http::{Method, Request};
use serde_json::json;
use spool_db::keys::{self, KeyToken, Scope};
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::{TestApp, day, start};
use crate::operations;

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
    let something = |name: &str| if name == "job_id" { "1".to_owned() } else { Uuid::nil().to_string() };
    for operation in operations::all() {
        let Some(needed) = operation.needs else { continue };
        let is_job = operation.noun() == "jobs";
        let path = operation
            .filled(|name| if is_job && name == "id" { something("job_id") } else { something(name) });
        let method = &operation.method;
        assert_eq!(status(&app, method, &path, None).await, 401, "{method} {path} without a key");
        for (scope, key) in &keys {
            let status = status(&app, method, &path, Some(key)).await;
            if *scope >= needed {
                assert!(!matches!(status, 401 | 403), "{method} {path} with {scope}: {status}");
            } else {
                assert_eq!(status, 403, "{method} {path} with {scope}");
            }
        }
    }
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
    assert!(keys::revoke(&mut conn, &id, None).await.expect("revoked"));
    assert_eq!(status(&app, &Method::GET, path, Some(&revoked)).await, 401, "revoked");
    let (listed, _) = keys::list(&mut conn, 10, 0).await.expect("listed");
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
