//! A hard limit is never passed; what it holds back waits, and goes on by itself when there is money again.

use reqwest::Method;
use serde_json::{Value, json};
use system_tests::system::{Options, System};
use system_tests::wait;

const DOLLAR: i64 = 1_000_000;

/// A job of one clip: 4 s of veo-3.1-fast at $0.10.
const PRICE: i64 = 400_000;

async fn limit(system: &System, hard: i64) {
    let body = json!({"scope": "all", "period": "day", "hard_limit_micros": hard});
    let answer = system.request(Method::PUT, "/api/v3/admin/budgets", Some(body)).await;
    assert!(answer.status().is_success(), "{:?}", answer.text().await);
}

async fn today(system: &System) -> Value {
    system.get("/api/v3/admin/budgets").await["data"][0].clone()
}

async fn jobs(system: &System, ids: &[i64]) -> Vec<Value> {
    let mut jobs = Vec::new();
    for id in ids {
        jobs.push(system.get(&format!("/api/v3/jobs/{id}")).await);
    }
    jobs
}

/// Waits until so many jobs are completed and all others wait for money.
async fn settled(system: &System, ids: &[i64], completed: usize) {
    wait::until(&format!("{completed} completed jobs, the others waiting"), async || {
        let jobs = jobs(system, ids).await;
        let done = jobs.iter().filter(|job| job["status"] == "completed").count();
        let waiting = jobs.iter().filter(|job| job["parked"] == "budget").count();
        (done == completed && done + waiting == ids.len()).then_some(())
    })
    .await;
}

/// How many jobs at once; fewer by `SPOOL_TEST_BUDGET_JOBS=8`.
fn how_many() -> usize {
    std::env::var("SPOOL_TEST_BUDGET_JOBS").ok().and_then(|count| count.parse().ok()).unwrap_or(50)
}

#[tokio::test(flavor = "multi_thread")]
async fn spending_ends_at_the_hard_limit_and_goes_on_when_it_is_raised() {
    let system =
        System::start(&Options { workers: 2, speed: 60.0, cheap_media: true, ..Options::default() }).await;
    let campaign = system.campaign().await;
    limit(&system, DOLLAR).await;
    let mut ids = Vec::new();
    for _ in 0..how_many() {
        ids.push(system.small_job(&campaign, json!({})).await);
    }
    settled(&system, &ids, 2).await;
    assert_eq!(today(&system).await["settled"]["micros"], 2 * PRICE);
    let charged: i64 =
        system.charges().await.iter().filter_map(|charge| charge["cost_micros"].as_i64()).sum();
    assert_eq!(charged, 2 * PRICE, "what the provider charged");
    let waiting =
        jobs(&system, &ids).await.into_iter().find(|job| job["parked"] == "budget").expect("one waits");
    assert_eq!(
        waiting["parked_reason"], "$0.40 would pass the daily limit of $1.00 by $0.20",
        "it says what is missing"
    );
    assert!(waiting["parked_until"].is_string(), "it says when the day turns: {waiting}");

    limit(&system, 2 * DOLLAR).await;
    settled(&system, &ids, 5).await;
    // Nothing new is bought while spending is stopped, whatever the limit.
    let stop = system.post("/api/v3/admin/budgets/stop", json!({"why": "prices look wrong"})).await;
    assert_eq!(stop["why"], "prices look wrong");
    limit(&system, 100 * DOLLAR).await;
    wait::until("the stop to be seen by all that wait", async || {
        let jobs = jobs(&system, &ids).await;
        let stopped =
            jobs.iter().filter(|job| job["parked_reason"] == "spending is stopped: prices look wrong");
        (stopped.count() == ids.len() - 5).then_some(())
    })
    .await;
    let lifted = system.request(Method::DELETE, "/api/v3/admin/budgets/stop", None).await;
    assert_eq!(lifted.status(), 204);
    settled(&system, &ids, ids.len()).await;
    assert_eq!(today(&system).await["settled"]["micros"], ids.len() as i64 * PRICE);
    for id in &ids {
        system.ledgers_agree(*id, 1).await;
    }
    system.nothing_else_was_bought().await;
    system.books_balance().await;
    assert_eq!(attempts_burnt(&system).await, 0);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_which_one_clip_is_bought_still_says_that_another_waits() {
    let system = System::start(&Options { speed: 60.0, cheap_media: true, ..Options::default() }).await;
    let campaign = system.campaign().await;
    limit(&system, DOLLAR / 2).await;
    let more = json!({"num_pairs": 2, "parameters": {"music": false}});
    let id = system.approved_job(&campaign, more).await;
    wait::until("one clip to be there", async || {
        let scenes = system.get(&format!("/api/v3/jobs/{id}/scenes")).await;
        scenes.to_string().contains("\"completed\"").then_some(())
    })
    .await;
    assert_eq!(jobs(&system, &[id]).await[0]["parked"], "budget");
    limit(&system, DOLLAR).await;
    let job = system.finished(id).await;
    assert_eq!((&job["status"], &job["parked"]), (&json!("completed"), &Value::Null), "{job}");
    system.ledgers_agree(id, 2).await;
    system.stop().await;
}

/// As if what was spent today had been spent long ago.
#[expect(clippy::disallowed_methods, reason = "tests let time pass by hand")]
async fn the_day_turns(system: &System) {
    let pool = system.database().await;
    sqlx::query("UPDATE budget_periods SET starts_on = starts_on - 100")
        .execute(&pool)
        .await
        .expect("long ago");
}

/// Nobody raises a limit, nobody asks: a worker sees that there is money again.
#[tokio::test(flavor = "multi_thread")]
async fn when_the_day_turns_what_waits_goes_on_by_itself() {
    let system = System::start(&Options { speed: 60.0, cheap_media: true, ..Options::default() }).await;
    let campaign = system.campaign().await;
    limit(&system, PRICE).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(system.small_job(&campaign, json!({})).await);
    }
    settled(&system, &ids, 1).await;
    the_day_turns(&system).await;
    settled(&system, &ids, 2).await;
    assert_eq!(today(&system).await["settled"]["micros"], PRICE, "each day had one");
    assert_eq!(attempts_burnt(&system).await, 0);
    system.stop().await;
}

/// Attempts beyond the one that succeeded.
#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
async fn attempts_burnt(system: &System) -> i64 {
    let pool = system.database().await;
    sqlx::query_scalar("SELECT count(*) FROM queue.task_history WHERE attempt > 1")
        .fetch_one(&pool)
        .await
        .expect("a count")
}
