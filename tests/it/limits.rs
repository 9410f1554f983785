//! Limits hold across worker processes, as the simulator sees them; a provider that fails is left alone and then probed.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::json;
use system_tests::system::{Options, System};
use system_tests::wait;

const MODEL: &str = "google/veo-3.1-fast";

/// A number from the environment, to measure with more than a test has time for.
fn setting(name: &str, usual: u32) -> u32 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// The most that any window of this length holds.
fn fullest(times: &[DateTime<Utc>], window: TimeDelta) -> usize {
    let holds = |first: usize| times[first..].iter().take_while(|at| **at < times[first] + window).count();
    (0..times.len()).map(holds).max().unwrap_or(0)
}

async fn film(system: &System, campaign: &str, pairs: u32) -> i64 {
    system.approved_job(campaign, json!({"num_pairs": pairs, "parameters": {"music": false}})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_workers_together_keep_the_accounts_rate_and_use_it() {
    let per_minute = setting("SPOOL_TEST_LIMIT_PER_MINUTE", 120);
    let jobs = setting("SPOOL_TEST_LIMIT_JOBS", 8);
    let workers = setting("SPOOL_TEST_LIMIT_WORKERS", 3);
    let env =
        vec![("REPLICATE_CREATES_PER_MINUTE", per_minute.to_string()), ("SPOOL_DB_POOL", "6".to_owned())];
    let system = System::start(&Options { workers, speed: 60.0, cheap_media: true, env }).await;
    system.workers_are(workers as usize).await;
    let body = json!({"scope": "all", "period": "day", "hard_limit_micros": 100_000_000_000_i64});
    assert!(system.request(Method::PUT, "/api/v3/admin/budgets", Some(body)).await.status().is_success());
    let campaign = system.campaign().await;
    let mut ids = Vec::new();
    for _ in 0..jobs {
        ids.push(film(&system, &campaign, 4).await);
    }
    wait::until("all clips to be ordered", async || {
        (system.creates().await.len() >= jobs as usize * 4).then_some(())
    })
    .await;
    let times = system.creates().await;
    let per_second = f64::from(per_minute) / 60.0;
    for seconds in [1, 5, 10, 60] {
        let seen = fullest(&times, TimeDelta::seconds(seconds));
        let rate = per_second * seconds as f64;
        println!("fullest {seconds} s: {seen} creates, the rate is {rate}");
        // A turn may be used 1.5 s late on a busy machine, so two windows may share a little of each other's.
        assert!(seen as f64 <= rate + 1.0 + 2.0 * per_second, "{seen} creates within {seconds} s");
    }
    let span = (times[times.len() - 1] - times[0]).as_seconds_f64();
    let used = (times.len() - 1) as f64 / span / per_second;
    println!(
        "{} creates in {span:.1} s by {workers} workers: {:.1} % of the rate",
        times.len(),
        used * 100.0
    );
    assert!(used > 0.7, "only {used:.2} of the rate was used while work waited");
    for id in ids {
        assert_eq!(system.finished(id).await["status"], "completed");
    }
    system.nothing_else_was_bought().await;
    assert_eq!(attempts_burnt(&system).await, 0);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_fails_is_left_alone_and_taken_up_again_by_itself() {
    let env = vec![("SPOOL_SUBMIT_SETTLE_SECONDS", "2".to_owned())];
    let system = System::start(&Options { workers: 2, speed: 60.0, cheap_media: true, env }).await;
    let campaign = system.campaign().await;
    let down = json!({"match": {"route": "create"}, "times": "always", "fault": {"kind": "http_error", "status": 503, "when": "before"}});
    system.fault(down).await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(film(&system, &campaign, 2).await);
    }
    let open = wait::until("the breaker to open", async || {
        let open = system.get("/api/v3/admin/breakers").await;
        open["data"].as_array()?.iter().find(|one| one["model"] == MODEL).cloned()
    })
    .await;
    assert_eq!((&open["opened_by"], &open["provider"]), (&json!("call"), &json!("replicate")), "{open}");
    wait::until("a job to say what it waits for", async || {
        for id in &ids {
            let job = system.get(&format!("/api/v3/jobs/{id}")).await;
            if job["parked"] == "provider" {
                let why = job["parked_reason"].as_str().expect("a reason");
                return why.contains(MODEL).then_some(());
            }
        }
        None
    })
    .await;
    let before = system.creates().await.len();
    assert!(before < 12, "{before} calls of a model that fails");
    system.no_faults().await;
    for id in &ids {
        assert_eq!(system.finished(*id).await["status"], "completed");
        system.ledgers_agree(*id, 2).await;
    }
    assert_eq!(system.get("/api/v3/admin/breakers").await["meta"]["total"], 0, "it closed by itself");
    system.nothing_else_was_bought().await;
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
