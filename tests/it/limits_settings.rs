//! What operators set binds all workers: predictions at once, time between starts, and an account without credit until they act. One
//! with little credit only buys more slowly.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use system_tests::books::number;
use system_tests::system::{Options, System};
use system_tests::wait;

/// When each request that creates a prediction arrived at the provider, in order.
async fn creates(system: &System) -> Vec<DateTime<Utc>> {
    let all = system.simulated("requests").await;
    let creates = all.iter().filter(|one| one["create"] == true);
    creates.map(|one| moment(&one["at"])).collect()
}

fn moment(value: &Value) -> DateTime<Utc> {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no time: {value}"))
}

/// The most that were in the making at the same time, by the provider's clock.
fn most_at_once(predictions: &[Value]) -> usize {
    let ended = |one: &Value| moment(&one["completed_at"]);
    let at = |now: DateTime<Utc>| {
        predictions.iter().filter(|one| moment(&one["created_at"]) <= now && now < ended(one)).count()
    };
    predictions.iter().map(|one| at(moment(&one["created_at"]))).max().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_at_once_and_so_far_apart() {
    const DELAY_MS: i64 = 1500;
    let env = vec![
        ("REPLICATE_MAX_CONCURRENCY", "2".to_owned()),
        ("REPLICATE_START_DELAY_MS", DELAY_MS.to_string()),
    ];
    let system = System::start(&Options { workers: 3, speed: 60.0, cheap_media: true, env }).await;
    system.workers_are(3).await;
    let campaign = system.campaign().await;
    // Six seconds of this machine: the third would start before the first has ended.
    system.fault(json!({"times": "always", "fault": {"kind": "run_time", "seconds": 360}})).await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(system.small_job(&campaign, json!({})).await);
    }
    for id in &ids {
        assert_eq!(system.finished(*id).await["status"], "completed");
    }
    assert_eq!(most_at_once(&system.simulated("predictions").await), 2, "as many as may, and no more");
    let starts = creates(&system).await;
    assert_eq!(starts.len(), 6, "nothing was turned away");
    for pair in starts.windows(2) {
        // What passes between the intent and the provider's door differs from call to call.
        let apart = pair[1] - pair[0];
        assert!(apart > TimeDelta::milliseconds(DELAY_MS * 2 / 3), "{apart} apart: {starts:?}");
    }
    assert_eq!(burnt(&system).await, 0);
    system.books_balance().await;
    system.stop().await;
}

/// One slot, and a model that is left alone: those who wait for it are parked, so that the slot is free for all others.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_limit_holds_no_slot() {
    let env = vec![("SPOOL_SLOTS_PREDICT", "1".to_owned())];
    let system = System::start(&Options { speed: 60.0, cheap_media: true, env, ..Options::default() }).await;
    let campaign = system.campaign().await;
    let closed = json!({"provider": "replicate", "model": "google/veo-3.1-fast", "why": "tried by a test"});
    let answer = system.request(Method::PUT, "/api/v3/admin/breakers", Some(closed)).await;
    assert!(answer.status().is_success(), "{:?}", answer.text().await);
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(system.small_job(&campaign, json!({})).await);
    }
    let all_wait = async || {
        for id in &ids {
            if system.get(&format!("/api/v3/jobs/{id}")).await["parked"] != "provider" {
                return None;
            }
        }
        Some(())
    };
    wait::until("all six to wait for the model", all_wait).await;
    let other = system
        .small_job(&campaign, json!({"video_model": "hailuo-02", "resolution": "768p", "clip_duration": 6}))
        .await;
    assert_eq!(system.finished(other).await["status"], "completed");
    assert_eq!(creates(&system).await.len(), 1, "nobody bought of the model that is left alone");
    let which = "/api/v3/admin/breakers?provider=replicate&model=google/veo-3.1-fast";
    assert_eq!(system.request(Method::DELETE, which, None).await.status(), 204);
    for id in &ids {
        assert_eq!(system.finished(*id).await["status"], "completed");
    }
    assert_eq!(burnt(&system).await, 0);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_credit_parks_everything_until_an_operator_acts() {
    let system =
        System::start(&Options { workers: 2, speed: 60.0, cheap_media: true, env: Vec::new() }).await;
    system.workers_are(2).await;
    let campaign = system.campaign().await;
    system
        .fault(json!({"match": {"route": "create"}, "times": "always", "fault": {"kind": "no_credit"}}))
        .await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(system.small_job(&campaign, json!({})).await);
    }
    let open = wait::until("the breaker of the account", async || {
        system.get("/api/v3/admin/breakers").await["data"].as_array()?.first().cloned()
    })
    .await;
    assert_eq!((&open["model"], &open["opened_by"]), (&json!("*"), &json!("account")), "{open}");
    assert!(open["why"].as_str().is_some_and(|why| why.contains("credit")), "{open}");
    wait::until("all jobs to wait for the provider", async || {
        for id in &ids {
            let job = system.get(&format!("/api/v3/jobs/{id}")).await;
            if job["parked"] != "provider" {
                return None;
            }
        }
        Some(())
    })
    .await;
    // The account is topped up; nobody tells the workers but the operator.
    system.no_faults().await;
    let in_vain = creates(&system).await.len();
    assert!(in_vain <= ids.len(), "{in_vain} calls of an account without credit");
    let closed = system.request(Method::DELETE, "/api/v3/admin/breakers?provider=replicate", None).await;
    assert_eq!(closed.status(), 204, "{:?}", closed.text().await);
    for id in &ids {
        assert_eq!(system.finished(*id).await["status"], "completed");
    }
    assert_eq!(creates(&system).await.len(), in_vain + ids.len(), "one call for each clip");
    assert_eq!(burnt(&system).await, 0);
    system.books_balance().await;
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_little_credit_buys_slowly_and_nothing_fails() {
    /// Below $5 the provider takes so many a minute, and no two at once.
    const LOW_PER_MINUTE: i64 = 6;
    let system =
        System::start(&Options { workers: 2, speed: 60.0, cheap_media: true, env: Vec::new() }).await;
    system.workers_are(2).await;
    let campaign = system.campaign().await;
    system.simulator("credit", json!({"left_micros": 4_000_000})).await;
    // One is bought, the other is told why not.
    let mut ids =
        vec![system.small_job(&campaign, json!({})).await, system.small_job(&campaign, json!({})).await];
    let account = async || {
        let limits = system.get("/api/v3/admin/limits").await;
        let of_account = |one: &&Value| one["class"] == "create" && one["model"] == "*";
        limits["data"].as_array().expect("limits").iter().find(of_account).expect("the account's").clone()
    };
    let pool = system.database().await;
    let low = wait::until("the lowered rate in the shared state", async || {
        let low = account().await;
        let posting = number(&pool, "SELECT count(*) FROM predictions WHERE state = 'intent'").await;
        (low["per_minute_now"] == LOW_PER_MINUTE && posting == 0).then_some(low)
    })
    .await;
    assert!(low["per_minute"].as_i64().is_none_or(|usual| usual > LOW_PER_MINUTE), "{low}");
    let before = creates(&system).await.len();
    ids.push(system.small_job(&campaign, json!({})).await);
    wait::until("a second one to be bought", async || {
        (system.simulated("predictions").await.len() >= 2).then_some(())
    })
    .await;
    assert_eq!(account().await["per_minute_now"], LOW_PER_MINUTE);
    // The account is topped up. What the provider said is believed for some minutes more.
    system.simulator("credit", json!({"left_micros": 100_000_000})).await;
    for id in &ids {
        assert_eq!(system.finished(*id).await["status"], "completed");
        system.ledgers_agree(*id, 1).await;
    }
    let starts = creates(&system).await;
    for pair in starts[before - 1..].windows(2) {
        // What passes between the intent and the provider's door differs from call to call.
        let apart = pair[1] - pair[0];
        assert!(apart > TimeDelta::seconds(60 / LOW_PER_MINUTE) * 2 / 3, "{apart} apart: {starts:?}");
    }
    assert_eq!(burnt(&system).await, 0);
    system.books_balance().await;
    system.stop().await;
}

/// Attempts of tasks and tries of scenes beyond the one that succeeded.
async fn burnt(system: &System) -> i64 {
    let pool = system.database().await;
    number(&pool, "SELECT count(*) FROM queue.task_history WHERE attempt > 1").await
        + number(&pool, "SELECT count(*) FROM predictions WHERE state NOT IN ('succeeded', 'refused')").await
}
