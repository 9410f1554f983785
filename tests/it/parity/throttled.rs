//! Item 18: a provider that has had enough slows a job down and does not fail it.

use serde_json::json;
use system_tests::books::number;
use system_tests::system::{Options, System};

const MODEL: &str = "google/veo-3.1-fast";

#[tokio::test(flavor = "multi_thread")]
async fn item_18_throttled_providers() {
    let env =
        vec![("REPLICATE_START_DELAY_MS", "200".to_owned()), ("REPLICATE_MAX_CONCURRENCY", "3".to_owned())];
    let system = System::start(&Options { workers: 2, cheap_media: true, env, ..Options::default() }).await;
    system.workers_are(2).await;
    let campaign = system.campaign().await;
    // Twice too many requests, and then a model that fails when two of it run at once.
    system
        .fault(
            json!({"match": {"model": MODEL}, "times": 2, "fault": {"kind": "throttle", "retry_after": 1}}),
        )
        .await;
    system
        .fault(
            json!({"match": {"model": MODEL}, "times": "always", "fault": {"kind": "e6716_above", "n": 1}}),
        )
        .await;
    let id =
        system.approved_job(&campaign, json!({"music": false, "num_pairs": 3, "resolution": "720p"})).await;
    let job = system.finished(id).await;
    assert_eq!((&job["status"], &job["error"]), (&json!("completed"), &serde_json::Value::Null), "{job}");
    let pool = system.database().await;
    let refused = "SELECT count(*) FROM predictions WHERE state = 'refused'";
    assert_eq!(number(&pool, refused).await, 2, "refused calls are seen, and bought nothing");
    let attempts = "SELECT count(*) FROM queue.task_history WHERE attempt > 1";
    assert_eq!(number(&pool, attempts).await, 0, "and cost no attempt");
    system.books_balance().await;
    let limits = system.get("/api/v3/admin/limits").await;
    let most: Vec<&serde_json::Value> =
        limits["data"].as_array().expect("a list").iter().map(|limit| &limit["max_in_flight"]).collect();
    assert!(most.contains(&&json!(3)), "what runs at once is limited: {limits}");
    system.stop().await;
}
