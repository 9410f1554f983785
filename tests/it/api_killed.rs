//! The API is killed while webhooks come: those that it has not written down are sent again or were not needed, and everything is
//! bought and completed once. And while jobs are created: whoever asks again under the same key has one job.

use futures::{StreamExt, stream};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use system_tests::books::number;
use system_tests::system::{Options, System};
use system_tests::wait;

const JOBS: usize = 8;
/// Webhooks that have come through when the API is killed in the middle of a burst.
const BEFORE: usize = 2;

/// Jobs of one clip, whose runs have read their photos through the API and now wait for us.
async fn held(system: &System, campaign: &str) -> Vec<i64> {
    let fetched = async || {
        let fetches = system.simulated("input-fetches").await;
        fetches.iter().filter(|one| one["ok"] == true).count()
    };
    let before = fetched().await;
    system.fault(json!({"fault": {"kind": "hold"}})).await;
    let mut ids = Vec::new();
    for _ in 0..JOBS {
        ids.push(system.small_job(campaign, json!({})).await);
    }
    // Two photos for each.
    wait::until("all runs to have their photos", async || {
        (fetched().await == before + 2 * JOBS).then_some(())
    })
    .await;
    ids
}

async fn ended(system: &System, count: usize) {
    wait::until("all runs to end", async || {
        let predictions = system.simulated("predictions").await;
        (predictions.iter().filter(|one| one["status"] == "succeeded").count() == count).then_some(())
    })
    .await;
}

/// Tries to deliver a last webhook.
async fn tries(system: &System) -> Vec<Value> {
    let mut tries = system.simulated("webhooks").await;
    tries.retain(|one| one["event"] == "completed");
    tries
}

async fn completed(system: &System, ids: &[i64]) {
    for id in ids {
        let job = system.finished(*id).await;
        assert_eq!(job["status"], "completed", "{job}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_over_webhooks_that_came_it_loses_nothing() {
    let system =
        System::start(&Options { workers: 2, speed: 60.0, cheap_media: true, ..Options::default() }).await;
    system.workers_are(2).await;
    let campaign = system.campaign().await;

    // It stands still when they come: they have arrived, and nothing of them is written.
    let first = held(&system, &campaign).await;
    let api = system.signal_service("api", Signal::SIGSTOP).await;
    system.no_faults().await;
    ended(&system, JOBS).await;
    assert!(tries(&system).await.iter().all(|one| one["status"].is_null()), "nobody answered");
    assert_eq!(system.signal_service("api", Signal::SIGKILL).await, api);
    completed(&system, &first).await;
    let unanswered = tries(&system).await.iter().filter(|one| one["status"].is_null()).count();
    assert!(unanswered > 0, "webhooks came while it stood still");
    assert_ne!(system.service_pid("api").await, api, "it is another process");

    // In the middle of a burst.
    let second = held(&system, &campaign).await;
    let taken = async || tries(&system).await.iter().filter(|one| one["status"] == 200).count();
    let before = taken().await;
    system.simulator("release", json!({"count": BEFORE})).await;
    wait::until("some webhooks to be taken", async || (taken().await >= before + BEFORE).then_some(())).await;
    system.no_faults().await;
    system.signal_service("api", Signal::SIGKILL).await;
    completed(&system, &second).await;

    assert_eq!(system.purchases().await, (2 * JOBS, 0));
    assert_eq!(system.simulated("predictions").await.len(), 2 * JOBS, "each was ordered once");
    system.books_balance().await;
    let pool = system.database().await;
    let burnt = "SELECT count(*) FROM queue.task_history WHERE attempt > 1";
    assert_eq!(number(&pool, burnt).await, 0, "attempts that the restarts used up");
    system.stop().await;
}

/// Asks for a job under the key of this number; the body of the answer, once there is a job.
async fn order(system: &System, campaign: &str, nth: usize) -> Option<String> {
    let path = format!("{}/api/v3/jobs/from-image-pairs", system.ready.api);
    let request = system.http.post(path).header("x-api-key", &system.ready.key);
    let request = request.header("idempotency-key", format!("order-{nth}"));
    let answer = request
        .json(&json!({"campaign_id": campaign, "num_pairs": 1, "clip_duration": 4}))
        .send()
        .await
        .ok()?;
    (answer.status() == 201).then_some(answer.text().await.ok()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_amid_creations_each_key_makes_one_job() {
    const ORDERS: usize = 800;
    const BEFORE: i64 = 40;
    const AT_ONCE: usize = 32;
    const WRITTEN: &str = "SELECT count(*) FROM jobs";
    let system = System::start(&Options::default()).await;
    let campaign = system.campaign().await;
    let pool = system.database().await;
    let asked = stream::iter(0..ORDERS)
        .map(|nth| order(&system, &campaign, nth))
        .buffered(AT_ONCE)
        .collect::<Vec<_>>();
    let killed = async {
        wait::until("some jobs", async || (number(&pool, WRITTEN).await >= BEFORE).then_some(())).await;
        system.signal_service("api", Signal::SIGKILL).await
    };
    let (first, api) = tokio::join!(asked, killed);
    let answered = first.iter().flatten().count();
    assert!(answered > 0 && answered < ORDERS, "{answered} of {ORDERS} were answered before it was killed");
    let mut jobs = BTreeSet::new();
    for (nth, first) in first.into_iter().enumerate() {
        let body = wait::until("the job", async || order(&system, &campaign, nth).await).await;
        let job: Value = serde_json::from_str(&body).expect("JSON");
        assert!(jobs.insert(job["job_id"].as_i64().expect("a number")), "a job of its own: {job}");
        assert!(first.is_none_or(|first| first == body), "the same answer");
    }
    assert_eq!(number(&pool, WRITTEN).await, i64::try_from(ORDERS).expect("a number"));
    assert_ne!(system.service_pid("api").await, api, "it is another process");
    system.stop().await;
}
