//! A job is called off over HTTP: its tasks end, what is bought is handed on, and what has ended stays as it is.

use http::Method;
use serde_json::{Value, json};
use spool_db::jobs::{self, Conclusion};
use spool_db::keys::Scope;
use spool_db::predictions::{self, NewIntent, Slot};
use spool_job::money::Micros;
use spool_job::prediction::Purpose;
use spool_job::tasks::group_key;
use spool_queue::{TaskState, inspect};
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::{TestApp, start};

const KEY: &str = "0000000000000000000000000000000000000000000000000000000000000000";

async fn job(app: &TestApp, more: Value) -> i64 {
    let campaign = app.lodge().await;
    let mut body = json!({"campaign_id": campaign, "num_pairs": 2, "clip_duration": 4});
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    app.post("/api/v3/jobs/from-image-pairs", body).await.is(201)["job_id"].as_i64().expect("a number")
}

async fn cancel(app: &TestApp, id: i64) -> crate::app::Answer {
    app.json(Method::POST, &format!("/api/v3/jobs/{id}/cancel"), &json!({})).await
}

async fn states(app: &TestApp, id: i64, kind: &str) -> Vec<TaskState> {
    let mut conn = app.pool.acquire().await.expect("a connection");
    let tasks = inspect::tasks_of_group(&mut conn, &group_key(id)).await.expect("the tasks");
    tasks.into_iter().filter(|task| task.kind == kind).map(|task| task.state).collect()
}

/// As if a worker had bought the first stretch of music.
pub(crate) async fn submitted(app: &TestApp, job_id: i64) -> Uuid {
    let (id, empty) = (Uuid::now_v7(), json!({}));
    let new = NewIntent {
        id,
        slot: Slot { job_id, purpose: Purpose::Music, scene: None, ordinal: 0 },
        attempt: 1,
        task_id: 1,
        lease_token: 1,
        provider: "replicate",
        model: "meta/musicgen",
        input: &empty,
        input_digest: KEY,
        memo_key: KEY,
        media: &empty,
        unit: "gpu_second",
        unit_price: Micros(1),
        list: Micros(5),
        estimate: Micros(5),
    };
    let mut conn = app.pool.acquire().await.expect("a connection");
    predictions::intend(&mut conn, &new).await.expect("an intent");
    predictions::submitted(&mut conn, id, "ext", false).await.expect("bound");
    id
}

#[sqlx::test(migrations = false)]
async fn a_job_that_waits_for_approval_is_canceled_at_once(pool: PgPool) {
    let app = start(pool).await;
    let id = job(&app, json!({})).await;
    for _ in 0..2 {
        let answer = cancel(&app, id).await.is(200);
        assert_eq!((&answer["job_id"], &answer["status"]), (&json!(id), &json!("canceled")));
    }
    let shown = app.get(&format!("/api/v3/jobs/{id}")).await.is(200);
    assert_eq!(shown["status"], "canceled");
    assert!(shown["cancel_requested_at"].is_string());
    cancel(&app, 4_711).await.is_problem(404, "not_found");
}

#[sqlx::test(migrations = false)]
async fn the_tasks_end_and_what_is_bought_is_wound_up(pool: PgPool) {
    let app = start(pool).await;
    let id = job(&app, json!({"auto_approve": true})).await;
    submitted(&app, id).await;
    for _ in 0..2 {
        assert_eq!(cancel(&app, id).await.is(200)["status"], "approved");
    }
    for kind in ["render", "music", "stitch", "mix", "verify"] {
        let states = states(&app, id, kind).await;
        assert!(
            !states.is_empty() && states.iter().all(|state| *state == TaskState::Canceled),
            "{kind}: {states:?}"
        );
    }
    assert_eq!(states(&app, id, "recall").await, [TaskState::Ready], "one for what is in flight");
    assert_eq!(states(&app, id, "close").await, [TaskState::Ready], "it concludes the job");
    let shown = app.get(&format!("/api/v3/jobs/{id}")).await.is(200);
    assert_eq!(shown["status"], "approved", "not before its money is settled");
}

#[sqlx::test(migrations = false)]
async fn what_has_ended_and_what_is_others_stays(pool: PgPool) {
    let mut app = start(pool).await;
    let id = job(&app, json!({"auto_approve": true})).await;
    let mut tx = app.pool.begin().await.expect("a transaction");
    let end = Conclusion::Failed { code: "x".into(), error: "for a test".into() };
    jobs::conclude(&mut tx, id, &end).await.expect("concluded");
    tx.commit().await.expect("committed");
    let refused = cancel(&app, id).await.is_problem(409, "already_final");
    assert_eq!(refused["current_status"], "failed");

    let id = job(&app, json!({})).await;
    let other = app.client("Somebody else").await;
    app.key = app.new_key(&[Scope::Write], Some(other)).await;
    cancel(&app, id).await.is_problem(404, "not_found");
    app.key = app.new_key(&[Scope::Read], None).await;
    cancel(&app, id).await.is_problem(403, "forbidden");
}

#[sqlx::test(migrations = false)]
async fn operators_see_what_is_in_doubt_and_say_what_became_of_it(pool: PgPool) {
    let mut app = start(pool).await;
    let id = job(&app, json!({"auto_approve": true})).await;
    let prediction = submitted(&app, id).await;
    let all = app.get("/api/v3/admin/predictions").await.is(200);
    assert_eq!((&all["meta"]["total"], &all["data"][0]["state"]), (&json!(1), &json!("submitted")));
    let listed = app.get("/api/v3/admin/predictions?state=in_doubt").await.is(200);
    assert_eq!(listed["meta"]["total"], 0);
    app.get("/api/v3/admin/predictions?state=lost").await.is_problem(400, "invalid_query");
    let path = format!("/api/v3/admin/predictions/{prediction}/resolve");
    for (body, field) in [
        (json!({}), "as"),
        (json!({"as": "succeeded"}), "as"),
        (json!({"as": "submitted"}), "external_id"),
        (json!({"as": "submitted", "external_id": "../account"}), "external_id"),
        (json!({"as": "void", "external_id": "x"}), "external_id"),
    ] {
        let refused = app.json(Method::POST, &path, &body).await.is(422);
        assert!(refused["details"][field].is_array(), "{field}: {refused}");
    }
    let refused = app.json(Method::POST, &path, &json!({"as": "void"})).await.is_problem(409, "not_in_doubt");
    assert_eq!(refused["current_state"], "submitted");
    let nobody = format!("/api/v3/admin/predictions/{}/resolve", Uuid::nil());
    app.json(Method::POST, &nobody, &json!({"as": "void"})).await.is_problem(404, "not_found");
    let custody = app.get("/api/v3/admin/custody").await.is(200);
    assert_eq!((&custody["meta"]["waiting"], &custody["meta"]["lost"]), (&json!(0), &json!(0)));
    assert_eq!(app.get("/api/v3/admin/orphans").await.is(200)["data"], json!([]));
    app.key = app.new_key(&[Scope::Write], None).await;
    app.get("/api/v3/admin/predictions").await.is_problem(403, "forbidden");
}
