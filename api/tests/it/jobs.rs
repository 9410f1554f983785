//! /jobs: created with a storyboard and a price, approved once, polled cheaply.

use http::StatusCode;
use serde_json::{Value, json};
use spool_db::keys::Scope;
use spool_job::tasks::group_key;
use spool_queue::{TaskState, inspect};
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::{TestApp, start};

const PAIRS: &str = "/api/v3/jobs/from-image-pairs";
const PROPERTY: &str = "/api/v3/jobs/from-property-photos";

async fn tasks(app: &TestApp, job: &Value) -> Vec<inspect::TaskView> {
    let mut conn = app.pool.acquire().await.expect("a connection");
    inspect::tasks_of_group(&mut conn, &group_key(job.as_i64().expect("an id"))).await.expect("the tasks")
}

#[sqlx::test(migrations = false)]
async fn created_from_pairs_and_shown(pool: PgPool) {
    let app = start(pool).await;
    let campaign = app.lodge().await;
    let body = json!({"campaignId": campaign, "numPairs": 2, "clipDuration": 4, "parameters": {"free": {"as": "is"}}});
    let job = app.post(PAIRS, body).await.is(201);
    assert_eq!((&job["status"], &job["type"]), (&json!("pending"), &json!("image_pairs")));
    assert_eq!(
        (&job["scene_count"], &job["num_pairs"], &job["total_assets"]),
        (&json!(2), &json!(2), &json!(4))
    );
    assert_eq!(job["clip_duration"], 4.0);
    assert_eq!(job["video_name"], "Lodge 1");
    assert_eq!(job["storyboard_ready"], true);
    assert_eq!(job["campaign_id"], json!(campaign));
    assert!(job["message"].is_string() && job["client_id"].is_string());
    let scenes = job["storyboard"]["scenes"].as_array().expect("scenes");
    let sum: f64 = scenes.iter().filter_map(|scene| scene["duration"].as_f64()).sum();
    assert_eq!(job["storyboard"]["total_duration"], sum);
    for scene in scenes {
        assert_eq!(scene["asset_ids"].as_array().map(Vec::len), Some(2));
        assert_eq!((&scene["duration"], &scene["transition"]), (&json!(4.0), &json!("cut")));
        assert!(scene["prompt"].as_str().is_some_and(|prompt| !prompt.is_empty()));
    }
    let costs = &job["costs"];
    assert_eq!(costs["currency"], "USD");
    assert_eq!(job["estimated_cost"], costs["estimated"]);
    let lines: i64 =
        costs["lines"].as_array().expect("lines").iter().filter_map(|line| line["micros"].as_i64()).sum();
    assert_eq!(costs["estimated_micros"], lines, "the estimate shows its arithmetic");
    assert!(lines > 800_000, "two clips of 4 s and some music");

    let shown = app.get(&format!("/api/v3/jobs/{}", job["job_id"])).await.is(200);
    for member in
        ["job_id", "type", "status", "video_name", "estimated_cost", "costs", "storyboard", "campaign_id"]
    {
        assert_eq!(shown[member], job[member], "{member}");
    }
    assert_eq!(
        (&shown["progress_percentage"], &shown["current_stage"]),
        (&json!(0), &json!("storyboard_ready"))
    );
    assert_eq!(shown["parameters"]["free"], json!({"as": "is"}));
    assert_eq!(shown["parameters"]["num_pairs"], 2);
    assert_eq!(shown["parameters"]["video_model"], "google/veo-3.1-fast");
    assert!(shown["inserted_at"].is_string() && shown["updated_at"].is_string());
    assert_eq!(shown["video_url"], Value::Null);
    assert!(tasks(&app, &job["job_id"]).await.is_empty(), "nothing runs before approval");

    let second = app.post(PAIRS, json!({"campaign_id": campaign})).await.is(201);
    assert_eq!(second["video_name"], "Lodge 2", "names count up per campaign");
    assert_eq!(
        (&second["num_pairs"], &second["scene_count"]),
        (&json!(10), &json!(2)),
        "as many as there are"
    );
    assert_eq!(second["clip_duration"], 5.0);
}

#[sqlx::test(migrations = false)]
async fn created_from_property_photos(pool: PgPool) {
    let app = start(pool).await;
    let campaign = app.lodge().await;
    let job = app.post(PROPERTY, json!({"campaign_id": campaign})).await.is(201);
    assert_eq!(job["type"], "property_photos");
    assert_eq!(job["property_types"].as_array().map(Vec::len), Some(6), "the default list");
    let asked = json!({"campaign_id": campaign, "propertyTypes": ["terrace", "living_room"]});
    let job = app.post(PROPERTY, asked).await.is(201);
    let types: Vec<&str> = job["storyboard"]["scenes"]
        .as_array()
        .expect("scenes")
        .iter()
        .filter_map(|scene| scene["scene_type"].as_str())
        .collect();
    assert_eq!(types, ["terrace", "living_room"], "in the order asked for");
    let bad =
        app.post(PROPERTY, json!({"campaign_id": campaign, "property_types": ["a/b", "kitchen"]})).await;
    assert_eq!(bad.is_problem(400, "invalid_types")["invalid_types"], json!(["a/b"]));
    let none = json!({"campaign_id": campaign, "property_types": ["submarine"]});
    app.post(PROPERTY, none).await.is_problem(422, "job_creation_failed");
}

#[sqlx::test(migrations = false)]
async fn creation_is_refused_with_the_right_status(pool: PgPool) {
    let app = start(pool).await;
    let client = app.client("A").await;
    let empty = app.campaign(client, "Empty").await;
    let single = app.campaign(client, "Single").await;
    app.upload(single, &["terrace-sunset.jpg"]).await;
    for route in [PAIRS, PROPERTY] {
        app.post(route, json!({})).await.is_problem(400, "missing_parameter");
        app.post(route, json!({"campaign_id": Uuid::nil()})).await.is_problem(404, "not_found");
        app.post(route, json!({"campaign_id": empty})).await.is_problem(400, "no_assets");
        app.post(route, json!({"campaign_id": "x"})).await.is_problem(422, "validation_failed");
    }
    app.post(PAIRS, json!({"campaign_id": single})).await.is_problem(400, "not_enough_assets");
    let campaign = app.lodge().await;
    for (wish, field) in [
        (json!({"clip_duration": 9}), "clip_duration"),
        (json!({"clip_duration": 0}), "clip_duration"),
        (json!({"clip_duration": "4"}), "clip_duration"),
        (json!({"num_pairs": 0}), "num_pairs"),
        (json!({"num_pairs": 51}), "num_pairs"),
        (json!({"video_model": "sora"}), "video_model"),
        (json!({"model": "sora"}), "video_model"),
        (json!({"resolution": "4k"}), "resolution"),
        (json!({"aspect_ratio": "1:1"}), "aspect_ratio"),
        (json!({"parameters": {"videoModel": "sora"}}), "video_model"),
        (json!({"parameters": 7}), "parameters"),
        (json!({"on_scene_failure": "explode"}), "on_scene_failure"),
    ] {
        let mut body = wish;
        body["campaign_id"] = json!(campaign);
        let problem = app.post(PAIRS, body.clone()).await.is_problem(422, "validation_failed");
        assert!(problem["details"][field].is_array(), "{body}: {problem}");
    }
    assert_eq!(app.post(PAIRS, json!({"campaign_id": campaign})).await.is(201)["video_name"], "Lodge 1");
}

#[sqlx::test(migrations = false)]
async fn approved_once_with_all_its_tasks(pool: PgPool) {
    let app = start(pool).await;
    let campaign = app.lodge().await;
    let job =
        app.post(PAIRS, json!({"campaign_id": campaign, "num_pairs": 2, "clip_duration": 4})).await.is(201);
    let id = &job["job_id"];
    let path = format!("/api/v3/jobs/{id}/approve");
    // Many at once: one wins.
    let answers = futures::future::join_all((0..8).map(|_| app.post(&path, json!({})))).await;
    let won = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
    assert_eq!(won, 1);
    for answer in answers {
        if answer.status == StatusCode::OK {
            let body = answer.json();
            assert_eq!((&body["job_id"], &body["status"]), (id, &json!("approved")));
            assert_eq!(body["costs"], job["costs"], "what it may spend from here on, line by line");
            assert!(body["message"].is_string());
        } else {
            let problem = answer.is_problem(422, "not_pending");
            assert_eq!((&problem["job_id"], &problem["current_status"]), (id, &json!("approved")));
            assert!(problem["reason"].is_string());
        }
    }
    let tasks = tasks(&app, id).await;
    let count = |kind: &str| tasks.iter().filter(|task| task.kind == kind).count();
    assert_eq!((count("render"), count("music"), count("stitch"), count("close")), (2, 2, 1, 1));
    let ready: Vec<&str> =
        tasks.iter().filter(|task| task.state == TaskState::Ready).map(|task| task.kind.as_str()).collect();
    assert_eq!(ready.len(), 3, "both renders and the first music: {ready:?}");
    let unknown = app.post("/api/v3/jobs/4711/approve", json!({})).await.is_problem(404, "not_found");
    assert_eq!(unknown["job_id"], 4711);
}

#[sqlx::test(migrations = false)]
async fn auto_approve_starts_at_once(pool: PgPool) {
    let mut app = start(pool).await;
    let campaign = app.lodge().await;
    let body = json!({"campaign_id": campaign, "num_pairs": 1, "clip_duration": 4, "auto_approve": true, "music": false});
    app.key = app.new_key(&[Scope::Write], None).await;
    let job = app.post(PAIRS, body).await.is(201);
    assert_eq!(job["status"], "approved");
    assert_eq!(tasks(&app, &job["job_id"]).await.iter().filter(|task| task.kind == "music").count(), 0);
}

#[sqlx::test(migrations = false)]
async fn polling_costs_nothing_while_nothing_changes(pool: PgPool) {
    let app = start(pool).await;
    let campaign = app.lodge().await;
    let job =
        app.post(PAIRS, json!({"campaign_id": campaign, "num_pairs": 1, "clip_duration": 4})).await.is(201);
    let path = format!("/api/v3/jobs/{}", job["job_id"]);
    let first = app.get(&path).await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"'), "a strong tag: {tag}");
    assert_eq!(first.header("retry-after"), "10", "waits for a person");
    let same = app.get_with(&path, "if-none-match", &tag).await;
    assert_eq!((same.status.as_u16(), same.body.len(), same.header("etag")), (304, 0, tag.as_str()));
    assert_eq!(same.header("retry-after"), "10");
    app.post(&format!("{path}/approve"), json!({})).await.is(200);
    let changed = app.get_with(&path, "if-none-match", &tag).await;
    assert_eq!(changed.is(200)["status"], "approved");
    assert_ne!(changed.header("etag"), tag);
    assert_eq!(changed.header("retry-after"), "2");
    let unknown = app.get("/api/v3/jobs/4711").await.is_problem(404, "not_found");
    assert_eq!(unknown["job_id"], 4711);
    let unknown = app.get_with("/api/v3/jobs/4711", "if-none-match", &tag).await;
    unknown.is_problem(404, "not_found");
}
