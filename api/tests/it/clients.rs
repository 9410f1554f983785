//! /clients.

use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::{id_of, start};

#[sqlx::test(migrations = false)]
async fn created_listed_shown(pool: PgPool) {
    let app = start(pool).await;
    let body = json!({"name": " Alpine Lodges ", "homepage": "https://lodges.example", "brandGuidelines": "warm",
        "metadata": {"keepMe": {"as_is": true}}});
    let client = app.post("/api/v3/clients", body).await.is(201)["data"].clone();
    assert_eq!(client["name"], "Alpine Lodges");
    assert_eq!(client["brand_guidelines"], "warm");
    assert_eq!(client["metadata"], json!({"keepMe": {"as_is": true}}));
    assert!(client["inserted_at"].is_string() && client["updated_at"].is_string());
    assert_eq!(client["description"], json!(null));

    app.client("Second").await;
    let list = app.get("/api/v3/clients").await.is(200);
    assert_eq!(list["meta"]["total"], 2);
    assert_eq!(list["data"][0]["name"], "Second", "newest first");
    let page = app.get("/api/v3/clients?limit=1&offset=1").await.is(200);
    assert_eq!((page["data"].as_array().map(Vec::len), &page["meta"]["total"]), (Some(1), &json!(2)));
    assert_eq!(page["data"][0], client);

    let shown = app.get(&format!("/api/v3/clients/{}", id_of(&client["id"]))).await.is(200);
    assert_eq!(shown["data"], client);
}

#[sqlx::test(migrations = false)]
async fn refused_when_not_valid(pool: PgPool) {
    let app = start(pool).await;
    for (body, field) in [
        (json!({}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"name": "x".repeat(256)}), "name"),
        (json!({"name": 7}), "name"),
        (json!({"name": "a", "metadata": []}), "metadata"),
        (json!({"name": "a", "homepage": "h".repeat(3000)}), "homepage"),
    ] {
        let problem = app.post("/api/v3/clients", body.clone()).await.is_problem(422, "validation_failed");
        assert!(problem["details"][field].is_array(), "{body}: {problem}");
    }
    app.post("/api/v3/clients", json!({"name": "a\u{0}b"})).await.is_problem(422, "validation_failed");
    app.get(&format!("/api/v3/clients/{}", Uuid::nil())).await.is_problem(404, "not_found");
    app.get("/api/v3/clients/17").await.is_problem(400, "invalid_id");
}
