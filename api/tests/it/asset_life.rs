//! Assets, campaigns and clients after their creation: many at once, changed, taken away.

use http::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::{Form, TestApp, id_of, photo, start, start_with};
use crate::assets::wav;
use crate::downloads::web;

async fn patch(app: &TestApp, path: &str, body: Value) -> crate::app::Answer {
    app.json(Method::PATCH, path, &body).await
}

#[sqlx::test(migrations = false)]
async fn several_addresses_are_taken_or_refused_one_by_one(pool: PgPool) {
    let port = web().await;
    let app = start_with(pool, &format!("127.0.0.1/32:{port}")).await;
    let client = app.client("A").await;
    let campaign = app.campaign(client, "Lodge").await;
    let url = |name: &str| format!("http://127.0.0.1:{port}/lodge/{name}");
    let body = json!({"campaignId": campaign, "items": [
        {"sourceUrl": url("living-room.jpg"), "tags": "living room"},
        {"source_url": url("nothing-here.jpg")},
        format!("http://127.0.0.1:{port}/moved"),
        {"url": "http://10.0.0.1/a.jpg"},
        {"name": "without an address"},
        {"source_url": url("living-room.jpg"), "client_id": Uuid::nil()},
        17,
    ]});
    let answer = app.post("/api/v3/assets/from-urls", body).await.is(201);
    let meta = &answer["meta"];
    assert_eq!((&meta["created"], &meta["failed"]), (&json!(2), &json!(5)), "{meta}");
    assert_eq!(answer["data"][0]["tags"], json!(["living room"]));
    assert_eq!(answer["data"][1]["name"], "moved", "in the order of the request");
    assert!(
        answer["data"].as_array().expect("assets").iter().all(|asset| asset["clientId"] == json!(client))
    );
    let errors: Vec<_> =
        meta["errors"].as_array().expect("errors").iter().map(|e| (&e["index"], &e["code"])).collect();
    let wanted = [
        (1, "download_failed"),
        (3, "download_failed"),
        (4, "no_source"),
        (5, "validation_failed"),
        (6, "validation_failed"),
    ];
    assert_eq!(json!(errors), json!(wanted));
    assert_eq!(meta["errors"][1]["source"], "http://10.0.0.1/a.jpg");
    assert_eq!(app.get("/api/v3/assets").await.is(200)["meta"]["total"], 2);

    app.post("/api/v3/assets/from-urls", json!({"campaign_id": campaign})).await.is_problem(400, "no_source");
    app.post("/api/v3/assets/from-urls", json!({"assets": []})).await.is_problem(400, "no_source");
    for list in [json!("x"), json!(vec![url("a"); 101])] {
        let problem = app.post("/api/v3/assets/from-urls", json!({"sources": list})).await;
        assert!(problem.is_problem(422, "validation_failed")["details"]["assets"].is_array());
    }
}

#[sqlx::test(migrations = false)]
async fn unified_says_whether_there_is_a_picture(pool: PgPool) {
    let app = start(pool).await;
    let client = app.client("A").await;
    let form = || Form::new().text("clientId", &client.to_string()).text("uploadType", "file");
    let picture = app
        .post_form("/api/v3/assets/unified", form().file("a.jpg", &photo("living-room.jpg")))
        .await
        .is(201);
    assert_eq!(picture["meta"]["has_thumbnail"], true);
    assert!(picture["data"]["thumbnailUrl"].is_string());
    let sound = app.post_form("/api/v3/assets/unified", form().file("a.wav", &wav())).await.is(201);
    assert_eq!(sound["meta"]["has_thumbnail"], false);
    app.post_form("/api/v3/assets/unified", form()).await.is_problem(400, "no_source");
    let huge = app
        .request(Method::POST, "/api/v3/assets/unified")
        .header("content-type", "multipart/form-data; boundary=b");
    let huge = huge.header("content-length", (600u64 << 20).to_string());
    let answer = app.send(huge.body(axum::body::Body::empty()).expect("a request")).await;
    answer.is_problem(413, "payload_too_large");
}

#[sqlx::test(migrations = false)]
async fn what_is_said_about_an_asset_changes(pool: PgPool) {
    let app = start(pool).await;
    let client = app.client("A").await;
    let campaign = app.campaign(client, "Lodge").await;
    let asset = app.upload(campaign, &["living-room.jpg"]).await[0];
    let path = format!("/api/v3/assets/{asset}");
    let before = app.get(&path).await.is(200)["data"].clone();
    let body = json!({"name": "../Hall.jpg", "caption": "Large", "tagList": "hall, fire", "meta": {"a": 1}, "campaignId": campaign});
    let after = patch(&app, &path, body).await.is(200)["data"].clone();
    assert_eq!((&after["name"], &after["description"]), (&json!("Hall.jpg"), &json!("Large")));
    assert_eq!((&after["tags"], &after["metadata"]), (&json!(["hall", "fire"]), &json!({"a": 1})));
    assert_eq!((&after["digest"], &after["uploadedAt"]), (&before["digest"], &before["uploadedAt"]));
    let emptied = patch(&app, &path, json!({"description": null, "tags": []})).await.is(200)["data"].clone();
    assert_eq!(
        (&emptied["description"], &emptied["tags"], &emptied["name"]),
        (&Value::Null, &json!([]), &json!("Hall.jpg"))
    );
    for (body, field) in [
        (json!({"name": ""}), "name"),
        (json!({"name": 1}), "name"),
        (json!({"tags": [1]}), "tags"),
        (json!({"metadata": [1]}), "metadata"),
        (json!({"client_id": Uuid::nil()}), "client_id"),
        (json!({"campaign_id": Uuid::nil()}), "campaign_id"),
    ] {
        let problem = patch(&app, &path, body).await.is_problem(422, "validation_failed");
        assert!(problem["details"][field].is_array(), "{problem}");
    }
    patch(&app, &format!("/api/v3/assets/{}", Uuid::nil()), json!({"name": "x"}))
        .await
        .is_problem(404, "not_found");
}

#[sqlx::test(migrations = false)]
async fn an_asset_stays_while_a_job_needs_it(pool: PgPool) {
    let app = start(pool).await;
    let campaign = app.lodge().await;
    let body = json!({"campaign_id": campaign, "num_pairs": 1, "clip_duration": 4});
    let job = app.post("/api/v3/jobs/from-image-pairs", body.clone()).await.is(201);
    let used = id_of(&job["storyboard"]["scenes"][0]["asset_ids"][1]);
    let path = format!("/api/v3/assets/{used}");
    let delete = |path: String| {
        let app = &app;
        async move { app.json(Method::DELETE, &path, &json!({})).await }
    };
    let problem = delete(path.clone()).await.is_problem(409, "in_use");
    assert_eq!(problem["job_ids"], json!([job["job_id"]]));
    app.get(&path).await.is(200);
    app.json(Method::DELETE, &format!("/api/v3/campaigns/{campaign}"), &json!({}))
        .await
        .is_problem(409, "in_use");

    app.post(&format!("/api/v3/jobs/{}/cancel", job["job_id"]), json!({})).await;
    assert_eq!(delete(path.clone()).await.status, 204);
    for gone in [path.clone(), format!("{path}/data"), format!("{path}/thumbnail")] {
        app.get(&gone).await.is_problem(404, "not_found");
    }
    delete(path.clone()).await.is_problem(404, "not_found");
    patch(&app, &path, json!({"name": "x"})).await.is_problem(404, "not_found");
    assert_eq!(app.get("/api/v3/assets").await.is(200)["meta"]["total"], 3);
    assert_eq!(app.get(&format!("/api/v3/campaigns/{campaign}/assets")).await.is(200)["meta"]["total"], 3);
    // No new storyboard is made from it; a worker that tries the old job again still finds the bytes.
    let again = app.post("/api/v3/jobs/from-image-pairs", body).await.is(201);
    assert_eq!(again["total_assets"], 3);
    let mut conn = app.pool.acquire().await.expect("a connection");
    assert!(spool_db::assets::content(&mut conn, used).await.expect("read").is_some());
}

#[sqlx::test(migrations = false)]
async fn clients_and_campaigns_change_in_part(pool: PgPool) {
    let app = start(pool).await;
    let client = app.client("A").await;
    let campaign = app.campaign(client, "Lodge").await;
    for (method, path) in [(Method::PATCH, "clients"), (Method::PUT, "clients")] {
        let path = format!("/api/v3/{path}/{client}");
        let body = json!({"brandGuidelines": "calm", "homepage": "https://a.example"});
        let changed = app.json(method.clone(), &path, &body).await.is(200)["data"].clone();
        assert_eq!(
            (&changed["name"], &changed["brand_guidelines"]),
            (&json!("A"), &json!("calm")),
            "{method}"
        );
        let emptied =
            app.json(method, &path, &json!({"homepage": null, "name": "A & B"})).await.is(200)["data"]
                .clone();
        assert_eq!((&emptied["homepage"], &emptied["brand_guidelines"]), (&Value::Null, &json!("calm")));
        assert_eq!(app.json(Method::PATCH, &path, &json!({"name": "A"})).await.is(200)["data"]["name"], "A");
        let problem =
            app.json(Method::PATCH, &path, &json!({"name": null})).await.is_problem(422, "validation_failed");
        assert!(problem["details"]["name"].is_array());
    }
    for method in [Method::PATCH, Method::PUT] {
        let path = format!("/api/v3/campaigns/{campaign}");
        let body = json!({"brief": {"tone": "warm"}, "productUrl": "https://a.example", "clientId": client});
        let changed = app.json(method.clone(), &path, &body).await.is(200)["data"].clone();
        assert_eq!((&changed["name"], &changed["brief"]), (&json!("Lodge"), &json!({"tone": "warm"})));
        let emptied = app.json(method.clone(), &path, &json!({"brief": null})).await.is(200)["data"].clone();
        assert_eq!((&emptied["brief"], &emptied["productUrl"]), (&Value::Null, &json!("https://a.example")));
        for (body, field) in [
            (json!({"brief": [1]}), "brief"),
            (json!({"metadata": "x"}), "metadata"),
            (json!({"client_id": Uuid::nil()}), "client_id"),
        ] {
            let problem = app.json(method.clone(), &path, &body).await.is_problem(422, "validation_failed");
            assert!(problem["details"][field].is_array(), "{problem}");
        }
    }
    let listed = app.get(&format!("/api/v3/clients/{client}/campaigns")).await.is(200);
    assert_eq!(
        (&listed["meta"], &listed["data"][0]["client_id"]),
        (&json!({"client_id": client, "total": 1}), &json!(client))
    );
    app.get(&format!("/api/v3/clients/{}/campaigns", Uuid::nil())).await.is_problem(404, "not_found");
}

#[sqlx::test(migrations = false)]
async fn deleting_a_client_takes_everything_but_its_history(pool: PgPool) {
    let app = start(pool).await;
    let campaign = app.lodge().await;
    let client = id_of(&app.get(&format!("/api/v3/campaigns/{campaign}")).await.is(200)["data"]["clientId"]);
    let body = json!({"campaign_id": campaign, "num_pairs": 1, "clip_duration": 4});
    let job = app.post("/api/v3/jobs/from-image-pairs", body).await.is(201)["job_id"].clone();
    let path = format!("/api/v3/clients/{client}");
    let delete = || async { app.json(Method::DELETE, &path, &json!({})).await };
    delete().await.is_problem(409, "in_use");
    app.post(&format!("/api/v3/jobs/{job}/cancel"), json!({})).await;
    assert_eq!(delete().await.status, 204);
    delete().await.is_problem(404, "not_found");
    for gone in [path.clone(), format!("/api/v3/campaigns/{campaign}"), format!("{path}/stats")] {
        app.get(&gone).await.is_problem(404, "not_found");
    }
    assert_eq!(app.get("/api/v3/assets").await.is(200)["meta"]["total"], 0);
    let kept = app.get(&format!("/api/v3/jobs/{job}")).await.is(200);
    assert_eq!((&kept["status"], &kept["client_id"]), (&json!("canceled"), &Value::Null));
}
