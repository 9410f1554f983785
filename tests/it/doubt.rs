//! A prediction of which nobody can tell whether it was bought waits for an operator, whose word is checked where it can be.

use reqwest::Method;
use serde_json::{Value, json};
use system_tests::armed::Armed;
use system_tests::system::{Options, System};
use system_tests::wait;

const PREDICTIONS: &str = "/api/v3/admin/predictions";

/// A job whose only purchase nobody can tell about any more: our row's id and the provider's.
async fn in_doubt(system: &System, campaign: &str) -> (i64, String, String) {
    system.fault(json!({"match": {"route": "create"}, "times": 1, "fault": {"kind": "drop_response"}})).await;
    system.fault(json!({"match": {}, "times": "always", "fault": {"kind": "webhook_lost"}})).await;
    system.fault(json!({"match": {}, "fault": {"kind": "list_hidden"}})).await;
    let id = system.approved_job(campaign, json!({"num_pairs": 1, "parameters": {"music": false}})).await;
    wait::until("a lost answer", async || (list(system, "unknown").await.len() == 1).then_some(())).await;
    an_hour_ago(system, id).await;
    let row = wait::until("a prediction in doubt", async || list(system, "in_doubt").await.pop()).await;
    assert_eq!(row["job_id"], id, "{row}");
    let made = at_provider(system).await;
    let external_id = made.last().expect("it was made")["id"].as_str().expect("an id").to_owned();
    system.no_faults().await;
    (id, row["id"].as_str().expect("an id").to_owned(), external_id)
}

async fn list(system: &System, state: &str) -> Vec<Value> {
    let listed = system.get(&format!("{PREDICTIONS}?state={state}")).await;
    listed["data"].as_array().expect("a list").clone()
}

async fn at_provider(system: &System) -> Vec<Value> {
    let url = format!("{}/_sim/predictions", system.ready.simulator);
    let all: Value = system.http.get(url).send().await.expect("an answer").json().await.expect("JSON");
    all.as_array().expect("a list").clone()
}

#[expect(clippy::disallowed_methods, reason = "nobody waits for an hour")]
async fn an_hour_ago(system: &System, job_id: i64) {
    let pool = system.database().await;
    sqlx::query("UPDATE predictions SET intent_at = intent_at - interval '1 hour' WHERE job_id = $1")
        .bind(job_id)
        .execute(&pool)
        .await
        .expect("changed");
}

#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
async fn events(system: &System, job_id: i64) -> Vec<String> {
    let pool = system.database().await;
    sqlx::query_scalar("SELECT type FROM job_events WHERE job_id = $1 ORDER BY seq")
        .bind(job_id)
        .fetch_all(&pool)
        .await
        .expect("events")
}

/// Waits for it; it happened once, however often a worker died over it.
async fn event(system: &System, job_id: i64, kind: &str) {
    wait::until(kind, async || events(system, job_id).await.iter().any(|one| one == kind).then_some(()))
        .await;
    let found = events(system, job_id).await;
    assert_eq!(found.iter().filter(|one| *one == kind).count(), 1, "{found:?}");
}

fn arm_all(armed: &Armed) {
    for place in ["ClaimAnswered", "ClaimUncommitted", "ClaimRecorded"] {
        armed.arm(place, "");
    }
}

/// As after a 429 that asks for much time; and everything that is parked looks again.
#[expect(clippy::disallowed_methods, reason = "as an operator would with psql")]
async fn no_reads_for_two_hours(system: &System) {
    let pool = system.database().await;
    for sql in [
        "UPDATE provider_limits SET paused_until = now() + interval '2 hours', pause_reason = 'a test'
         WHERE class = 'other' AND model = '*'",
        "UPDATE queue.task SET run_at = now() WHERE kind = 'render' AND run_at > now()",
    ] {
        sqlx::query(sql).execute(&pool).await.expect("changed");
    }
}

/// How often the provider was asked for something that it has.
async fn reads(system: &System) -> usize {
    system.simulated("requests").await.iter().filter(|one| one["create"] == false).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn doubt_is_bounded_when_nothing_may_be_read() {
    let env = vec![("SPOOL_SUBMIT_SETTLE_SECONDS", "4".into())];
    let system = System::start(&Options { workers: 1, speed: 60.0, cheap_media: true, env }).await;
    let campaign = system.campaign().await;
    no_reads_for_two_hours(&system).await;
    let before = reads(&system).await;
    system.fault(json!({"match": {"route": "create"}, "times": 1, "fault": {"kind": "drop_response"}})).await;
    system.fault(json!({"match": {}, "times": "always", "fault": {"kind": "webhook_lost"}})).await;
    let id = system.small_job(&campaign, json!({})).await;
    wait::until("a lost answer", async || (list(&system, "unknown").await.len() == 1).then_some(())).await;
    an_hour_ago(&system, id).await;
    let row = wait::until("a prediction in doubt", async || {
        no_reads_for_two_hours(&system).await;
        list(&system, "in_doubt").await.pop()
    })
    .await;
    assert_eq!(row["job_id"], id, "{row}");
    assert_eq!(reads(&system).await, before, "nothing was read meanwhile");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_word_is_checked_and_then_believed() {
    let armed = Armed::new();
    let env =
        vec![("SPOOL_LEASE_SECONDS", "2".into()), ("SPOOL_SUBMIT_SETTLE_SECONDS", "4".into()), armed.env()];
    let system = System::start(&Options { workers: 1, speed: 60.0, cheap_media: true, env }).await;
    let campaign = system.campaign().await;

    let (id, row, external_id) = in_doubt(&system, &campaign).await;
    let path = format!("{PREDICTIONS}/{row}/resolve");
    let wrong = json!({"as": "submitted", "external_id": "nosuchprediction"});
    arm_all(&armed);
    assert_eq!(system.request(Method::POST, &path, Some(wrong)).await.status(), 202);
    armed.until_reached("a wrong claim").await;
    event(&system, id, "claim_refused").await;
    let right = json!({"as": "submitted", "external_id": external_id});
    arm_all(&armed);
    assert_eq!(system.request(Method::POST, &path, Some(right)).await.status(), 202);
    armed.until_reached("a right claim").await;
    assert_eq!(system.finished(id).await["status"], "completed");
    event(&system, id, "claim_accepted").await;
    system.ledgers_agree(id, 1).await;
    let late = json!({"as": "void"});
    assert_eq!(system.request(Method::POST, &path, Some(late)).await.status(), 409);

    let (id, row, external_id) = in_doubt(&system, &campaign).await;
    let path = format!("{PREDICTIONS}/{row}/resolve");
    assert_eq!(system.request(Method::POST, &path, Some(json!({"as": "void"}))).await.status(), 200);
    assert_eq!(system.finished(id).await["status"], "completed", "another was bought");
    assert!(events(&system, id).await.contains(&"prediction_resolved".to_owned()));
    let bought = system.bought(id).await;
    assert!(bought.len() == 1 && bought[0].external_id != external_id, "{bought:?}");
    system.stop().await;
}
