//! When a limit is raised, clients share what it gives: one that floods does not starve another that asked later.

use reqwest::Method;
use serde_json::{Value, json};
use system_tests::system::{Options, System};
use system_tests::wait;

/// A job of one clip: 4 s of veo-3.1-fast at $0.10.
const PRICE: i64 = 400_000;

async fn limit(system: &System, hard: i64) {
    let body = json!({"scope": "all", "period": "day", "hard_limit_micros": hard});
    let answer = system.request(Method::PUT, "/api/v3/admin/budgets", Some(body)).await;
    assert!(answer.status().is_success(), "{:?}", answer.text().await);
}

/// How many of these are completed, once all others wait for money.
async fn completed(system: &System, ids: &[i64]) -> Option<usize> {
    let mut jobs: Vec<Value> = Vec::new();
    for id in ids {
        jobs.push(system.get(&format!("/api/v3/jobs/{id}")).await);
    }
    let done = jobs.iter().filter(|job| job["status"] == "completed").count();
    let waiting = jobs.iter().filter(|job| job["parked"] == "budget").count();
    (done + waiting == ids.len()).then_some(done)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raised_limit_is_shared_between_one_who_floods_and_another() {
    let system =
        System::start(&Options { workers: 2, speed: 60.0, cheap_media: true, ..Options::default() }).await;
    let (flooding, modest) = (system.campaign().await, system.campaign().await);
    limit(&system, PRICE / 4).await;
    let (mut flood, mut few) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        flood.push(system.small_job(&flooding, json!({})).await);
    }
    for _ in 0..3 {
        few.push(system.small_job(&modest, json!({})).await);
    }
    for (prices, of_flood, of_few) in [(0, 0, 0), (4, 2, 2), (6, 3, 3), (9, 6, 3)] {
        limit(&system, prices * PRICE + PRICE / 4).await;
        wait::until(&format!("{prices} jobs to be completed and all others to wait"), async || {
            let split = (completed(&system, &flood).await?, completed(&system, &few).await?);
            (split.0 + split.1 == prices as usize).then_some(split)
        })
        .await;
        let split = (completed(&system, &flood).await, completed(&system, &few).await);
        assert_eq!(split, (Some(of_flood), Some(of_few)), "of {prices}");
    }
    // A newcomer while others wait and money comes: it does not go before them, and it comes.
    few.push(system.small_job(&modest, json!({})).await);
    limit(&system, 100 * PRICE).await;
    for id in flood.iter().chain(&few) {
        assert_eq!(system.finished(*id).await["status"], "completed");
        system.ledgers_agree(*id, 1).await;
    }
    system.nothing_else_was_bought().await;
    system.books_balance().await;
    system.stop().await;
}
