//! /campaigns.

use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::{id_of, start};

#[sqlx::test(migrations = false)]
async fn created_listed_shown(pool: PgPool) {
    let app = start(pool).await;
    let (client, other) = (app.client("A").await, app.client("B").await);
    app.campaign(other, "Elsewhere").await;
    let body = json!({"name": "Autumn", "clientId": client, "brief": "{\"tone\":\"warm\"}", "goal": "book",
        "status": "active", "productUrl": "https://x.example", "metadata": {"a": 1}});
    let campaign = app.post("/api/v3/campaigns", body).await.is(201)["data"].clone();
    assert_eq!(campaign["clientId"], json!(client));
    assert_eq!(campaign["brief"], json!({"tone": "warm"}), "a brief that is JSON comes back decoded");
    assert_eq!(campaign["productUrl"], "https://x.example");
    assert!(campaign["createdAt"].is_string() && campaign["updatedAt"].is_string());
    assert!(campaign.get("client_id").is_none(), "camelCase only");

    assert_eq!(app.get("/api/v3/campaigns").await.is(200)["meta"]["total"], 2);
    for filter in ["client_id", "clientId"] {
        let list = app.get(&format!("/api/v3/campaigns?{filter}={client}")).await.is(200);
        assert_eq!(list["data"], json!([campaign]));
        assert_eq!(list["meta"]["total"], 1);
    }
    let shown = app.get(&format!("/api/v3/campaigns/{}", id_of(&campaign["id"]))).await.is(200);
    assert_eq!(shown["data"], campaign);
}

#[sqlx::test(migrations = false)]
async fn refused_when_not_valid(pool: PgPool) {
    let app = start(pool).await;
    let client = app.client("A").await;
    for (body, field) in [
        (json!({"client_id": client}), "name"),
        (json!({"name": "a"}), "client_id"),
        (json!({"name": "a", "client_id": Uuid::nil()}), "client_id"),
        (json!({"name": "a", "client_id": "x"}), "client_id"),
        (json!({"name": "a", "client_id": client, "brief": 7}), "brief"),
    ] {
        let problem = app.post("/api/v3/campaigns", body.clone()).await.is_problem(422, "validation_failed");
        assert!(problem["details"][field].is_array(), "{body}: {problem}");
    }
    app.get(&format!("/api/v3/campaigns/{}", Uuid::nil())).await.is_problem(404, "not_found");
    app.get("/api/v3/campaigns?client_id=x").await.is_problem(400, "invalid_query");
}

#[sqlx::test(migrations = false)]
async fn create_job_plans_as_many_scenes_as_asked(pool: PgPool) {
    let app = start(pool).await;
    let campaign = app.lodge().await;
    let path = format!("/api/v3/campaigns/{campaign}/create-job");
    let created =
        app.post(&path, json!({"num_scenes": 2, "clip_duration": 4, "style": "modern"})).await.is(201);
    let data = &created["data"];
    assert_eq!(data["scene_count"], 2);
    assert_eq!(data["asset_count"], 4);
    assert_eq!(data["status"], "pending");
    assert_eq!(data["type"], "property_photos");
    assert_eq!(data["campaign_id"], json!(campaign));
    assert_eq!(data["parameters"]["style"], "modern");
    let id = &data["id"];
    let job = app.get(&format!("/api/v3/jobs/{id}")).await.is(200);
    assert!(data["costs"]["lines"].as_array().is_some_and(|lines| !lines.is_empty()), "{data}");
    assert_eq!(data["costs"], job["costs"], "the arithmetic of the estimate");
    assert_eq!(created["links"]["self"], format!("/api/v3/jobs/{id}"));
    assert_eq!(created["links"]["approve"], format!("/api/v3/jobs/{id}/approve"));
    assert_eq!(created["links"]["status"], format!("/api/v3/jobs/{id}"));

    // No body at all means the defaults.
    let bare = app.request(http::Method::POST, &path).body(axum::body::Body::empty()).expect("a request");
    assert!(app.send(bare).await.is(201)["data"]["scene_count"].as_u64() >= Some(1));

    let capped = app.post(&path, json!({"num_scenes": 4, "duration_seconds": 4})).await.is(201);
    assert_eq!(capped["data"]["scene_count"], 1, "what does not fit into the length is left out");

    let empty = app.campaign(app.client("C").await, "Empty").await;
    app.post(&format!("/api/v3/campaigns/{empty}/create-job"), json!({})).await.is_problem(422, "no_assets");
    let unknown = format!("/api/v3/campaigns/{}/create-job", Uuid::nil());
    app.post(&unknown, json!({})).await.is_problem(404, "not_found");
}
