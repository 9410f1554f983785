//! GET /jobs/{id}/explain: for whom the job is, whatever state it is in.

use serde_json::{Value, json};
use spool_db::keys::Scope;
use sqlx::PgPool;

use crate::app::start;

const PAIRS: &str = "/api/v3/jobs/from-image-pairs";

#[sqlx::test(migrations = false)]
async fn a_job_is_explained_to_those_who_may_see_it(pool: PgPool) {
    let mut app = start(pool).await;
    let campaign = app.lodge().await;
    let wish =
        json!({"campaign_id": campaign, "num_pairs": 1, "clip_duration": 4, "parameters": {"music": false}});
    let job = app.post(PAIRS, wish).await.is(201);
    let path = format!("/api/v3/jobs/{}/explain", job["job_id"]);
    let found = app.get(&path).await.is(200);
    assert_eq!((&found["job_id"], &found["status"]), (&job["job_id"], &json!("pending")));
    assert_eq!(found["gates"], json!([{"gate": "approval", "estimate_micros": 400_000}]));
    assert_eq!(
        found["sentence"],
        "Waits for approval: nothing is spent before; it is thought to cost $0.40."
    );
    assert_eq!(
        found["estimated_end"],
        json!({"early": null, "late": null, "basis": null, "reason": "it waits for approval"})
    );
    app.post(&format!("/api/v3/jobs/{}/approve", job["job_id"]), json!({})).await.is(200);

    let client = app.get(&format!("/api/v3/jobs/{}", job["job_id"])).await.is(200)["client_id"].clone();
    app.key = app.new_key(&[Scope::Read], Some(crate::app::id_of(&client))).await;
    let found = app.get(&path).await.is(200);
    let tasks = found["tasks"].as_array().expect("tasks");
    assert_eq!(tasks.len(), 5);
    assert_eq!(tasks[0]["gates"], json!([{"gate": "no_worker", "queue": "predict"}]));
    assert_eq!(
        tasks[0]["sentence"],
        "Render of scene 1 waits for a worker: none that serves queue predict is alive."
    );
    assert_eq!(tasks[0]["position"], json!({"line": "queue", "ahead": 0, "order": "age"}));
    let render = json!({"task_id": tasks[0]["task_id"], "kind": "render", "scene": 1, "state": "ready"});
    assert_eq!(tasks[1]["gates"], json!([{"gate": "parents", "tasks": [render]}]));
    assert_eq!((&tasks[1]["position"], &tasks[1]["scene"]), (&Value::Null, &Value::Null));
    assert_eq!(found["estimated_end"]["reason"], "no worker that serves queue predict is alive");
}

#[sqlx::test(migrations = false)]
async fn to_all_others_there_is_no_such_job(pool: PgPool) {
    let mut app = start(pool).await;
    let campaign = app.lodge().await;
    let job = app.post(PAIRS, json!({"campaign_id": campaign, "num_pairs": 1})).await.is(201);
    let path = format!("/api/v3/jobs/{}/explain", job["job_id"]);
    assert_eq!(app.get("/api/v3/jobs/4711/explain").await.is_problem(404, "not_found")["job_id"], 4711);
    app.get("/api/v3/jobs/x/explain").await.is(400);
    app.get_bare(&path).await.is(401);
    let stranger = app.client("Somebody else").await;
    app.key = app.new_key(&[Scope::Read], Some(stranger)).await;
    app.get(&path).await.is_problem(404, "not_found");
}
