//! A job is called off: the provider is told, what it charges all the same is booked, and nothing holds money any more.

use reqwest::Method;
use serde_json::{Value, json};
use system_tests::armed::Armed;
use system_tests::system::{Options, System};
use system_tests::wait;

fn options() -> Options {
    let env = vec![("SPOOL_LEASE_SECONDS", "2".into()), ("SPOOL_SUBMIT_SETTLE_SECONDS", "4".into())];
    Options { workers: 2, speed: 60.0, cheap_media: true, env }
}

fn silent(pairs: u32) -> Value {
    json!({"num_pairs": pairs, "parameters": {"music": false}})
}

/// Nothing ends by itself.
async fn endless(system: &System) {
    system.fault(json!({"match": {}, "times": "always", "fault": {"kind": "stuck_processing"}})).await;
}

/// The simulator's predictions in a state.
async fn at_provider(system: &System, status: &str) -> Vec<Value> {
    let url = format!("{}/_sim/predictions", system.ready.simulator);
    let all: Value = system.http.get(url).send().await.expect("an answer").json().await.expect("JSON");
    all.as_array().expect("a list").iter().filter(|one| one["status"] == status).cloned().collect()
}

async fn rendering(system: &System, count: usize) {
    wait::until("predictions at work", async || {
        (at_provider(system, "processing").await.len() == count).then_some(())
    })
    .await;
}

/// Provider ids, states and costs of a job's predictions.
#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
async fn rows(system: &System, job_id: i64) -> Vec<(Option<String>, String, Option<i64>)> {
    let pool = system.database().await;
    sqlx::query_as("SELECT external_id, state, cost_micros FROM predictions WHERE job_id = $1 ORDER BY id")
        .bind(job_id)
        .fetch_all(&pool)
        .await
        .expect("rows")
}

/// What we booked for each prediction is what the provider charged, and no budget holds anything.
async fn is_settled(system: &System, job_id: i64) {
    let charges = system.charges().await;
    for (external_id, state, cost) in rows(system, job_id).await {
        let Some(external_id) = external_id else {
            assert!(matches!(state.as_str(), "refused" | "void"), "{state} without an id");
            continue;
        };
        let charge = charges.iter().find(|one| one["prediction_id"] == external_id.as_str());
        assert_eq!(charge.map(|one| &one["cost_micros"]), Some(&json!(cost)), "{external_id} is {state}");
    }
    let job = system.get(&format!("/api/v3/jobs/{job_id}")).await;
    assert_eq!(job["costs"]["reserved_micros"], 0, "{job}");
    let budgets = system.get("/api/v3/admin/budgets").await;
    assert_eq!(budgets["data"][0]["reserved"]["micros"], 0, "{budgets}");
    system.nothing_else_was_bought().await;
}

async fn cancel(system: &System, id: i64) -> Value {
    system.post(&format!("/api/v3/jobs/{id}/cancel"), json!({})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_is_called_off_at_the_provider_and_paid() {
    let system = System::start(&options()).await;
    let campaign = system.campaign().await;
    endless(&system).await;
    let id = system.approved_job(&campaign, silent(4)).await;
    rendering(&system, 4).await;
    let answer = cancel(&system, id).await;
    assert_eq!((&answer["job_id"], &answer["status"]), (&json!(id), &json!("processing")));
    cancel(&system, id).await;
    let job = system.finished(id).await;
    assert_eq!(job["status"], "canceled", "{job}");
    assert!(job["cancel_requested_at"].is_string(), "{job}");
    assert_eq!(at_provider(&system, "canceled").await.len(), 4);
    assert_eq!(job["costs"]["settled_micros"], 4 * 400_000, "an official model bills what it had begun");
    is_settled(&system, id).await;
    assert_eq!(cancel(&system, id).await["status"], "canceled", "saying it again changes nothing");

    system.no_faults().await;
    let id = system.approved_job(&campaign, silent(1)).await;
    assert_eq!(system.finished(id).await["status"], "completed");
    let late = system.request(Method::POST, &format!("/api/v3/jobs/{id}/cancel"), Some(json!({}))).await;
    assert_eq!(late.status(), 409);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_exist_is_looked_for_before_the_job_is_over() {
    let system = System::start(&options()).await;
    let campaign = system.campaign().await;
    endless(&system).await;
    system.fault(json!({"match": {"route": "create"}, "times": 1, "fault": {"kind": "drop_response"}})).await;
    system.fault(json!({"match": {}, "times": "always", "fault": {"kind": "webhook_lost"}})).await;
    let id = system.approved_job(&campaign, silent(1)).await;
    wait::until("a lost answer", async || {
        rows(&system, id).await.iter().any(|(_, state, _)| state == "unknown").then_some(())
    })
    .await;
    cancel(&system, id).await;
    assert_eq!(system.finished(id).await["status"], "canceled");
    let rows = rows(&system, id).await;
    assert_eq!(rows.len(), 1, "nothing else was bought: {rows:?}");
    assert_eq!(rows[0].1, "canceled", "it was found and called off: {rows:?}");
    is_settled(&system, id).await;
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_finishes_all_the_same_is_kept_for_the_next_who_orders_it() {
    let system = System::start(&options()).await;
    let campaign = system.campaign().await;
    system.fault(json!({"match": {}, "times": "always", "fault": {"kind": "cancel_ignored"}})).await;
    system.fault(json!({"match": {}, "times": 1, "fault": {"kind": "run_time", "seconds": 600}})).await;
    let id = system.approved_job(&campaign, silent(1)).await;
    rendering(&system, 1).await;
    cancel(&system, id).await;
    let job = system.finished(id).await;
    assert_eq!(job["status"], "canceled", "{job}");
    assert_eq!(rows(&system, id).await[0].1, "succeeded");
    assert_eq!(system.get("/api/v3/admin/custody").await["meta"]["waiting"], 0, "it was fetched");
    is_settled(&system, id).await;
    let mut again = silent(1);
    again["reuse"] = json!(true);
    let id = system.approved_job(&campaign, again).await;
    assert_eq!(system.finished(id).await["costs"]["reused_outputs"], 1);
    assert_eq!(system.charges().await.len(), 1);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_is_called_off_it_is_wound_up_all_the_same() {
    let armed = Armed::new();
    let mut options = options();
    options.env.push(armed.env());
    let system = System::start(&options).await;
    let campaign = system.campaign().await;
    endless(&system).await;
    for point in ["RecallBegun", "RecallSent", "RecallRecorded"] {
        let id = system.approved_job(&campaign, silent(2)).await;
        rendering(&system, 2).await;
        armed.arm(point, "");
        cancel(&system, id).await;
        let job = system.finished(id).await;
        assert_eq!(job["status"], "canceled", "after a crash at {point}: {job}");
        armed.all_reached(point);
        is_settled(&system, id).await;
    }
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_outlives_its_deadline_is_called_off_and_another_is_bought() {
    let armed = Armed::new();
    let mut options = options();
    options.env.push(armed.env());
    let system = System::start(&options).await;
    let campaign = system.campaign().await;
    system.fault(json!({"match": {}, "times": 1, "fault": {"kind": "stuck_processing"}})).await;
    let id = system.approved_job(&campaign, silent(1)).await;
    rendering(&system, 1).await;
    armed.arm("OverdueCanceled", "");
    long_ago(&system, id).await;
    let job = system.finished(id).await;
    assert_eq!(job["status"], "completed", "{job}");
    armed.all_reached("a deadline that has passed");
    let states: Vec<String> = rows(&system, id).await.into_iter().map(|(_, state, _)| state).collect();
    assert_eq!(states, ["canceled", "succeeded"]);
    system.ledgers_agree(id, 2).await;
    system.stop().await;
}

/// As if it had been submitted an hour ago.
#[expect(clippy::disallowed_methods, reason = "nobody waits for an hour")]
async fn long_ago(system: &System, job_id: i64) {
    let pool = system.database().await;
    // The provider works before its answer is recorded here.
    wait::until("a prediction that is submitted", async || {
        let moved = sqlx::query(
            "UPDATE predictions SET submitted_at = submitted_at - interval '1 hour' WHERE job_id = $1 AND state = 'submitted'",
        )
        .bind(job_id)
        .execute(&pool)
        .await
        .expect("moved");
        (moved.rows_affected() == 1).then_some(())
    })
    .await;
}
