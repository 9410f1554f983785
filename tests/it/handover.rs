//! A deploy wastes nothing: a worker that is told to stop leaves its predictions to any other.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use system_tests::system::{Options, System, alive};
use system_tests::wait;

const CLIPS: usize = 4;

fn options(grace_seconds: u32) -> Options {
    let env = vec![
        ("SPOOL_LEASE_SECONDS", "2".into()),
        ("SPOOL_SUBMIT_SETTLE_SECONDS", "4".into()),
        ("SPOOL_WORKER_GRACE", grace_seconds.to_string()),
    ];
    Options { workers: 1, speed: 60.0, cheap_media: true, env }
}

async fn clips(system: &System, campaign: &str) -> i64 {
    system.approved_job(campaign, json!({"parameters": {"music": false}})).await
}

/// Tells the only worker to stop, and waits until another process has taken its place.
async fn replace_the_worker(system: &System) {
    let old = system.ready.worker_pids[0];
    kill(Pid::from_raw(old), Signal::SIGTERM).expect("it can be told to stop");
    wait::until("another worker", async || {
        let workers = system.workers().await;
        let other =
            workers.iter().any(|worker| worker["pid"].as_i64().is_some_and(|pid| pid != i64::from(old)));
        (other && !alive(old)).then_some(())
    })
    .await;
}

#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
async fn count(system: &System, what: &str) -> i64 {
    let pool = system.database().await;
    sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM predictions WHERE {what}")))
        .fetch_one(&pool)
        .await
        .expect("a count")
}

async fn is_wasteless(system: &System, id: i64) {
    let job = system.finished(id).await;
    assert_eq!(job["status"], "completed", "{job}");
    system.ledgers_agree(id, CLIPS).await;
    system.nothing_else_was_bought().await;
    let statuses: Vec<Value> = system.charges().await.iter().map(|one| one["status"].clone()).collect();
    assert_eq!(statuses, vec![json!("succeeded"); CLIPS], "nothing was called off and nothing bought twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn predictions_in_flight_go_on_under_another_worker() {
    let system = System::start(&options(5)).await;
    let campaign = system.campaign().await;
    system
        .fault(json!({"match": {}, "times": "always", "fault": {"kind": "run_time", "seconds": 600}}))
        .await;
    let id = clips(&system, &campaign).await;
    wait::until("predictions in flight", async || {
        (count(&system, "state = 'submitted'").await == CLIPS as i64).then_some(())
    })
    .await;
    replace_the_worker(&system).await;
    is_wasteless(&system, id).await;
    assert_eq!(count(&system, "unknown_at IS NOT NULL").await, 0);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_being_made_is_finished_first() {
    let system = System::start(&options(20)).await;
    let campaign = system.campaign().await;
    system.fault(json!({"match": {"route": "create"}, "times": CLIPS, "fault": {"kind": "latency", "response_ms": 3000}})).await;
    let id = clips(&system, &campaign).await;
    wait::until("a call", async || (count(&system, "state = 'intent'").await > 0).then_some(())).await;
    replace_the_worker(&system).await;
    is_wasteless(&system, id).await;
    assert_eq!(count(&system, "unknown_at IS NOT NULL").await, 0, "every answer was waited for");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_takes_longer_than_the_grace_is_found_again() {
    let system = System::start(&options(1)).await;
    let campaign = system.campaign().await;
    system.fault(json!({"match": {"route": "create"}, "times": CLIPS, "fault": {"kind": "latency", "response_ms": 20000, "when": "after"}})).await;
    system.fault(json!({"match": {}, "times": "always", "fault": {"kind": "webhook_lost"}})).await;
    let id = clips(&system, &campaign).await;
    wait::until("the calls", async || {
        (count(&system, "state = 'intent'").await == CLIPS as i64 && system.charges().await.len() == CLIPS)
            .then_some(())
    })
    .await;
    replace_the_worker(&system).await;
    is_wasteless(&system, id).await;
    assert_eq!(count(&system, "adopted_at IS NOT NULL").await, CLIPS as i64);
    system.stop().await;
}
