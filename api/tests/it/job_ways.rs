//! /jobs/{id}/duplicate, /jobs/{id}/actions, and an approval of what was seen.

use http::Method;
use serde_json::json;
use sqlx::PgPool;

use crate::app::start;

#[sqlx::test(migrations = false)]
async fn a_duplicate_is_a_new_job_with_the_storyboard_as_it_stands(pool: PgPool) {
    let app = start(pool).await;
    let id = app.job().await;
    let path = format!("/api/v3/jobs/{id}");
    let original = app.get(&path).await.is(200);
    let scene = original["storyboard"]["scenes"][0]["id"].as_str().expect("an id");
    app.json(Method::PUT, &format!("{path}/scenes/{scene}"), &json!({"prompt": "At dusk"})).await.is(200);
    app.post(&format!("{path}/approve"), json!({})).await.is(200);
    let copy = app.post(&format!("{path}/duplicate"), json!({})).await.is(201);
    assert_ne!(copy["job_id"], json!(id));
    assert_eq!((&copy["status"], &copy["video_name"]), (&json!("pending"), &json!("Lodge 2")));
    assert_eq!(
        (&copy["num_pairs"], &copy["clip_duration"], &copy["scene_count"]),
        (&json!(1), &json!(4.0), &json!(1))
    );
    let copied = &copy["storyboard"]["scenes"][0];
    assert_eq!((&copied["prompt"], &copied["version"]), (&json!("At dusk"), &json!(1)));
    assert_ne!(copied["id"], json!(scene));
    assert_eq!(copied["asset_ids"], original["storyboard"]["scenes"][0]["asset_ids"]);
    assert_eq!(copy["estimated_cost"], original["estimated_cost"]);
    let shown = app.get(&format!("/api/v3/jobs/{}", copy["job_id"])).await.is(200);
    assert_eq!(shown["parameters"]["duplicate_of"], id);
}

#[sqlx::test(migrations = false)]
async fn actions_decide(pool: PgPool) {
    let app = start(pool).await;
    let id = app.job().await;
    let path = format!("/api/v3/jobs/{id}");
    let act = async |path: &str, body| app.post(&format!("{path}/actions"), body).await;
    for body in [json!({}), json!({"action": "explode"}), json!({"action": 7})] {
        let problem = act(&path, body).await.is_problem(422, "validation_failed");
        assert!(problem["details"]["action"].is_array(), "{problem}");
    }
    let none = json!({"action": "regenerate_scene", "payload": {}});
    assert!(
        act(&path, none).await.is_problem(422, "validation_failed")["details"]["payload.scene_id"].is_array()
    );
    act("/api/v3/jobs/4711", json!({"action": "approve"})).await.is_problem(404, "not_found");

    let reject = json!({"action": "reject_storyboard", "payload": {"feedback": "too dark"}});
    let rejected = act(&path, reject.clone()).await.is(200);
    assert_eq!(
        (&rejected["action"], &rejected["status"], &rejected["job_id"]),
        (&json!("reject_storyboard"), &json!("canceled"), &json!(id))
    );
    assert_eq!(app.get(&path).await.is(200)["status"], "canceled");
    act(&path, reject).await.is_problem(422, "not_pending");
    let events = String::from_utf8(app.get(&format!("{path}/events")).await.body).expect("text");
    assert!(events.contains("storyboard_rejected") && events.contains("too dark"), "{events}");

    // An edit opens it again: refined, then approved.
    let scene =
        app.get(&path).await.is(200)["storyboard"]["scenes"][0]["id"].as_str().expect("id").to_owned();
    let edited = app.json(Method::PUT, &format!("{path}/scenes/{scene}"), &json!({"prompt": "Bright"})).await;
    assert_eq!(edited.is(200)["job_status"], "pending");
    assert_eq!(act(&path, json!({"action": "approve"})).await.is(200)["status"], "approved");
    let regenerate = json!({"action": "regenerate_scene", "payload": {"sceneId": scene}});
    act(&path, regenerate).await.is_problem(422, "not_pending");
    let canceled = act(&path, json!({"action": "cancel"})).await.is(200);
    assert!(canceled["message"].is_string());
    // Each decision shows the arithmetic of what it was about.
    let costs = &app.get(&path).await.is(200)["costs"];
    assert!(costs["lines"].as_array().is_some_and(|lines| !lines.is_empty()), "{costs}");
    for answer in [&rejected, &canceled] {
        assert_eq!(
            (&answer["costs"]["lines"], &answer["costs"]["settled_micros"]),
            (&costs["lines"], &json!(0))
        );
    }
}

#[sqlx::test(migrations = false)]
async fn if_match_approves_only_what_was_seen(pool: PgPool) {
    let app = start(pool).await;
    let id = app.job().await;
    let path = format!("/api/v3/jobs/{id}");
    let seen = app.get(&path).await.header("etag").to_owned();
    let scene =
        app.get(&path).await.is(200)["storyboard"]["scenes"][0]["id"].as_str().expect("id").to_owned();
    app.json(Method::PUT, &format!("{path}/scenes/{scene}"), &json!({"prompt": "Another"})).await.is(200);
    let approve = async |tag: &str| {
        let request = app.request(Method::POST, &format!("{path}/approve")).header("if-match", tag);
        app.send(request.body(axum::body::Body::empty()).expect("a request")).await
    };
    approve(&seen).await.is_problem(412, "precondition_failed");
    assert_eq!(app.get(&path).await.is(200)["status"], "pending");
    let now = app.get(&path).await.header("etag").to_owned();
    assert_eq!(approve(&now).await.is(200)["status"], "approved");
}
