//! Calls that are billed by time may cost far more than they usually do; the hard limit holds all the same, and a metric tells.

use reqwest::Method;
use serde_json::json;
use system_tests::system::{Options, System};
use system_tests::wait;

const MUSICGEN: &str = "meta/musicgen";
const VEO: &str = "google/veo-3.1-fast";
/// A clip of 4 s of veo-3.1-fast, and 500 GPU seconds of music where 33 are usual.
const CLIP: i64 = 400_000;
const MUSIC: i64 = 700_000;
/// For some of three clips and three stretches, each of which may cost $0.84 until it is known.
const HARD: i64 = 2_100_000;

async fn limit(system: &System, hard: i64) {
    let body = json!({"scope": "all", "period": "day", "hard_limit_micros": hard});
    let answer = system.request(Method::PUT, "/api/v3/admin/budgets", Some(body)).await;
    assert!(answer.status().is_success(), "{:?}", answer.text().await);
}

/// Purchases of a model that cost more than a fifth above their list price, by the metrics of all workers.
async fn over(system: &System, model: &str) -> u64 {
    let (name, model) = ("spool_cost_variance_total{", format!("model=\"{model}\""));
    let mut sum = None;
    for worker in &system.ready.worker_metrics {
        let page = system.http.get(format!("{worker}/metrics")).send().await.expect("the worker answers");
        let text = page.text().await.expect("its metrics");
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains("direction=\"over\""));
        for line in lines.filter(|line| line.contains(&model)) {
            let value = line.rsplit(' ').next().and_then(|value| value.parse::<u64>().ok());
            *sum.get_or_insert(0) += value.unwrap_or_else(|| panic!("no number: {line}"));
        }
    }
    sum.unwrap_or_else(|| panic!("no worker has {name} of {model}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn gpu_time_beyond_anything_usual_does_not_pass_the_hard_limit() {
    let system = System::start(&Options { speed: 60.0, cheap_media: true, ..Options::default() }).await;
    let campaign = system.campaign().await;
    assert_eq!(over(&system, MUSICGEN).await, 0, "it is there before anything cost too much");
    system
        .fault(json!({"match": {"model": MUSICGEN}, "times": "always", "fault": {"kind": "gpu_time", "seconds": 500}}))
        .await;
    limit(&system, HARD).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(system.small_job(&campaign, json!({"music": true})).await);
    }
    // The usual price would let all of it in at once, for $3.30 in the end.
    wait::until("the limit to be reached", async || {
        let budget = system.get("/api/v3/admin/budgets").await["data"][0].clone();
        let (held, spent) = (budget["reserved"]["micros"].as_i64()?, budget["settled"]["micros"].as_i64()?);
        assert!(held + spent <= HARD, "{budget}");
        let mut waiting = 0;
        for id in &ids {
            let job = system.get(&format!("/api/v3/jobs/{id}")).await;
            waiting += usize::from(job["parked"] == "budget");
        }
        (held == 0 && spent > 0 && waiting > 0).then_some(())
    })
    .await;
    limit(&system, 10 * HARD).await;
    for id in &ids {
        assert_eq!(system.finished(*id).await["status"], "completed");
        system.ledgers_agree(*id, 2).await;
    }
    let charged: i64 =
        system.charges().await.iter().filter_map(|charge| charge["cost_micros"].as_i64()).sum();
    assert_eq!(charged, 3 * (CLIP + MUSIC));
    // Each stretch cost far more than its list price, each clip just that.
    assert_eq!((over(&system, MUSICGEN).await, over(&system, VEO).await), (3, 0));
    system.nothing_else_was_bought().await;
    system.books_balance().await;
    system.stop().await;
}
