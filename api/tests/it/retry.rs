//! /jobs/{id}/retry and /jobs/retry: what would be bought first, then a new revision, once.

use serde_json::{Value, json};
use spool_db::jobs::{self, Conclusion};
use spool_db::keys::Scope;
use spool_job::tasks::group_key;
use spool_queue::{control, inspect};
use sqlx::PgPool;

use crate::app::{TestApp, start};

const MANY: &str = "/api/v3/jobs/retry";

/// A job of one clip without music, approved.
async fn approved(app: &TestApp, campaign: uuid::Uuid) -> i64 {
    let body = json!({"campaign_id": campaign, "num_pairs": 1, "clip_duration": 4, "music": false, "auto_approve": true});
    app.post("/api/v3/jobs/from-image-pairs", body).await.is(201)["job_id"].as_i64().expect("an id")
}

pub(crate) async fn fail(app: &TestApp, job: i64) {
    let mut tx = app.pool.begin().await.expect("a transaction");
    let end = Conclusion::Failed { code: "scene_failed".into(), error: "scene 1: no".into() };
    jobs::conclude(&mut tx, job, &end).await.expect("it ends");
    tx.commit().await.expect("committed");
}

pub(crate) async fn end_tasks(app: &TestApp, job: i64) {
    let mut conn = app.pool.acquire().await.expect("a connection");
    control::cancel_group(&mut conn, &group_key(job), "a test").await.expect("they end");
}

async fn live_tasks(app: &TestApp, job: i64) -> usize {
    let mut conn = app.pool.acquire().await.expect("a connection");
    let tasks = inspect::tasks_of_group(&mut conn, &group_key(job)).await.expect("the tasks");
    tasks.iter().filter(|task| !task.state.is_final()).count()
}

#[sqlx::test(migrations = false)]
async fn a_failed_job_is_tried_again_once_and_says_its_price(pool: PgPool) {
    let app = start(pool).await;
    let campaign = app.lodge().await;
    let job = approved(&app, campaign).await;
    let tasks = live_tasks(&app, job).await;
    let path = format!("/api/v3/jobs/{job}/retry");
    let running = app.post(&path, json!({})).await.is_problem(409, "already_running");
    assert_eq!((&running["current_status"], &running["job_id"]), (&json!("approved"), &json!(job)));
    fail(&app, job).await;
    app.post(&path, json!({})).await.is_problem(409, "already_running");
    end_tasks(&app, job).await;

    let dry = app.post(&path, json!({"dryRun": true})).await.is(200);
    assert_eq!(
        (&dry["status"], &dry["revision"], &dry["dry_run"]),
        (&json!("failed"), &json!(2), &json!(true))
    );
    assert_eq!(dry["buys"], json!({"micros": 400_000, "dollars": 0.4}));
    assert_eq!(dry["lines"].as_array().map(Vec::len), Some(1));
    assert_eq!(dry["keeps"], json!({"clips": 0, "music": 0, "under_way": 0, "micros": 0}));
    assert_eq!((&dry["budgets"][0]["scope"], &dry["budgets"][0]["fits"]), (&json!("all"), &json!(true)));
    app.post(&path, json!({"max_cost_micros": 399_999})).await.is_problem(422, "validation_failed");
    let shown = app.get(&format!("/api/v3/jobs/{job}")).await.is(200);
    assert_eq!((&shown["status"], &shown["revision"]), (&json!("failed"), &json!(1)), "nothing was changed");
    assert_eq!(live_tasks(&app, job).await, 0);

    let done = app.post(&path, json!({"max_cost_micros": 400_000})).await.is(200);
    assert_eq!((&done["status"], &done["revision"]), (&json!("approved"), &json!(2)));
    assert_eq!(live_tasks(&app, job).await, tasks, "a whole DAG");
    app.post(&path, json!({})).await.is_problem(409, "already_running");
    let shown = app.get(&format!("/api/v3/jobs/{job}")).await.is(200);
    assert_eq!((&shown["status"], &shown["error"]), (&json!("approved"), &Value::Null));
}

#[sqlx::test(migrations = false)]
async fn only_the_owner_may_and_only_what_was_approved(pool: PgPool) {
    let app = start(pool).await;
    let campaign = app.lodge().await;
    let body = json!({"campaign_id": campaign, "num_pairs": 1});
    let created = app.post("/api/v3/jobs/from-image-pairs", body).await.is(201);
    let job = created["job_id"].as_i64().expect("an id");
    let path = format!("/api/v3/jobs/{job}/retry");
    app.post(&path, json!({})).await.is_problem(409, "already_running");
    fail(&app, job).await;
    app.post(&path, json!({})).await.is_problem(422, "not_retryable");
    app.post("/api/v3/jobs/999/retry", json!({})).await.is_problem(404, "not_found");
    app.post(&path, json!({"dry_run": "yes"})).await.is_problem(422, "validation_failed");

    let failed = approved(&app, campaign).await;
    fail(&app, failed).await;
    end_tasks(&app, failed).await;
    let path = format!("/api/v3/jobs/{failed}/retry");
    let stranger = app.client("Somebody else").await;
    let (read, other) =
        (app.new_key(&[Scope::Read], None).await, app.new_key(&[Scope::Write], Some(stranger)).await);
    let app = TestApp { key: read, ..app };
    app.post(&path, json!({"dry_run": true})).await.is_problem(403, "forbidden");
    let app = TestApp { key: other, ..app };
    app.post(&path, json!({"dry_run": true})).await.is_problem(404, "not_found");
    let none = app.post(MANY, json!({})).await.is(200);
    assert_eq!(none["matched"], 0, "another client's jobs are not there");
    app.post(MANY, json!({"client_id": created["client_id"]})).await.is_problem(404, "not_found");
}

#[sqlx::test(migrations = false)]
async fn many_are_a_dry_run_unless_told_otherwise(pool: PgPool) {
    let app = start(pool).await;
    let campaign = app.lodge().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let job = approved(&app, campaign).await;
        fail(&app, job).await;
        ids.push(job);
    }
    // The tasks of the last have not ended yet.
    end_tasks(&app, ids[0]).await;
    end_tasks(&app, ids[1]).await;
    let filter = json!({"error_code": "scene_failed", "campaign_id": campaign});
    let dry = app.post(MANY, filter.clone()).await.is(200);
    assert_eq!((&dry["dry_run"], &dry["matched"]), (&json!(true), &json!(3)));
    assert_eq!(dry["buys"], json!({"micros": 800_000, "dollars": 0.8}), "{dry}");
    assert_eq!((&dry["data"][0]["job_id"], &dry["data"][1]["job_id"]), (&json!(ids[0]), &json!(ids[1])));
    assert_eq!(
        (&dry["skipped"][0]["job_id"], &dry["skipped"][0]["code"]),
        (&json!(ids[2]), &json!("already_running"))
    );
    assert_eq!(live_tasks(&app, ids[0]).await, 0);

    let mut go = filter.clone();
    go["dry_run"] = json!(false);
    go["max_cost_micros"] = json!(799_999);
    app.post(MANY, go.clone()).await.is_problem(422, "validation_failed");
    assert_eq!(app.get(&format!("/api/v3/jobs/{}", ids[0])).await.is(200)["status"], "failed");
    go["max_cost_micros"] = json!(800_000);
    let done = app.post(MANY, go.clone()).await.is(200);
    assert_eq!((&done["dry_run"], &done["data"][1]["status"]), (&json!(false), &json!("approved")));
    assert!(live_tasks(&app, ids[1]).await > 0);
    let again = app.post(MANY, go).await.is(200);
    assert_eq!((&again["matched"], &again["data"]), (&json!(1), &json!([])), "they run: {again}");

    let limited = app.post(MANY, json!({"state": "canceled", "limit": 1})).await.is(200);
    assert_eq!(limited["matched"], 0);
    app.post(MANY, json!({"limit": 0})).await.is_problem(422, "validation_failed");
    app.post(MANY, json!({"state": "completed"})).await.is_problem(422, "validation_failed");
}
