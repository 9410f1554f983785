//! Clients take turns before a provider: one that floods does not hold up one that wants little.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::HashMap;
use system_tests::books::number;
use system_tests::system::{Options, System};
use system_tests::wait;

/// Jobs of one clip each.
const FLOOD: usize = 36;
const FEW: usize = 12;

/// Whose each paid call was, in the order in which the provider got them: the campaign's id.
#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
async fn callers(system: &System) -> Vec<String> {
    let pool = system.database().await;
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT p.external_id, j.campaign_id::text FROM predictions p JOIN jobs j ON j.id = p.job_id WHERE p.external_id IS NOT NULL",
    )
    .fetch_all(&pool)
    .await
    .expect("rows");
    let whose: HashMap<String, String> = rows.into_iter().collect();
    let made = system.simulated("predictions").await;
    made.iter().map(|one| whose[one["id"].as_str().expect("an id")].clone()).collect()
}

async fn client_of(system: &System, campaign: &str) -> Value {
    system.get(&format!("/api/v3/campaigns/{campaign}")).await["data"]["clientId"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_wants_little_is_not_behind_all_of_one_that_floods() {
    let env = vec![("REPLICATE_CREATES_PER_MINUTE", "60".to_owned())];
    let system = System::start(&Options { workers: 3, speed: 60.0, cheap_media: true, env }).await;
    system.workers_are(3).await;
    let (flood, few) = (system.campaign().await, system.campaign().await);
    let weight = json!({"provider": "replicate", "client_id": client_of(&system, &few).await, "weight": 2});
    let set = system.request(Method::PUT, "/api/v3/admin/limits/weights", Some(weight)).await;
    assert_eq!(set.status(), 200, "{:?}", set.text().await);
    let mut ids = Vec::new();
    for _ in 0..FLOOD {
        ids.push(system.small_job(&flood, json!({})).await);
    }
    let pool = system.database().await;
    wait::until("the flood to stand in line", async || {
        (number(&pool, "SELECT count(*) FROM limit_waits").await >= FLOOD as i64 / 2).then_some(())
    })
    .await;
    // At once, so that their line is never empty.
    ids.extend(join_all((0..FEW).map(|_| system.small_job(&few, json!({})))).await);
    for id in &ids {
        assert_eq!(system.finished(*id).await["status"], "completed");
    }
    let order = callers(&system).await;
    assert_eq!(order.len(), FLOOD + FEW, "each clip was ordered once");
    let first = order.iter().position(|one| *one == few).expect("some of the few");
    let last = order.iter().rposition(|one| *one == few).expect("some of the few");
    let after = order[last..].iter().filter(|one| **one == flood).count();
    eprintln!("{after} calls of {FLOOD} of the flood came after the last of the {FEW}");
    // Half of the flood stood in line when they came. Without turns all of it would have gone before.
    assert!(after >= FLOOD / 6, "only {after} of the flood came after: {order:?}");
    // Twice the weight is twice the turns: half as many of the flood between them, neither as many nor none.
    let between = order[first..last].iter().filter(|one| **one == flood).count();
    assert!((FEW / 4..=FEW * 3 / 4).contains(&between), "{between} of the flood came between: {order:?}");
    let weights = system.get("/api/v3/admin/limits/weights").await;
    assert_eq!(weights["data"][0]["weight"], 2.0, "{weights}");
    system.books_balance().await;
    system.stop().await;
}
