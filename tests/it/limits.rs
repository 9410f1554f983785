//! Limits hold across worker processes, as the simulator sees them; a provider that fails is left alone and then probed.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::json;
use std::time::Duration;
use system_tests::system::{Options, System};
use system_tests::wait;

const MODEL: &str = "google/veo-3.1-fast";

/// A number from the environment, to measure with more than a test has time for.
fn setting(name: &str, usual: u32) -> u32 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// When the creates arrived at the simulator.
async fn arrivals(system: &System) -> Vec<DateTime<Utc>> {
    requests(system, true).await
}

/// When the creates or all the others arrived at the simulator.
async fn requests(system: &System, create: bool) -> Vec<DateTime<Utc>> {
    let all = system.simulated("requests").await;
    let those = all.iter().filter(|one| one["create"] == create);
    let times = those.map(|one| one["at"].as_str().expect("a time").parse().expect("RFC 3339"));
    let mut times: Vec<DateTime<Utc>> = times.collect();
    times.sort_unstable();
    times
}

/// The most that any window of this length holds.
fn fullest(times: &[DateTime<Utc>], window: TimeDelta) -> usize {
    let holds = |first: usize| times[first..].iter().take_while(|at| **at < times[first] + window).count();
    (0..times.len()).map(holds).max().unwrap_or(0)
}

/// How much of the rate was used from the first to the last of them.
fn used(what: &str, times: &[DateTime<Utc>], per_minute: u32) -> f64 {
    let span = (times[times.len() - 1] - times[0]).as_seconds_f64();
    let used = (times.len() - 1) as f64 / span / (f64::from(per_minute) / 60.0);
    eprintln!("{} {what} in {span:.1} s: {:.1} % of the rate", times.len(), used * 100.0);
    used
}

/// No window holds more than the rate: by at most 2 % in a minute if `strict`, which needs more than a minute of requests.
fn kept(what: &str, times: &[DateTime<Utc>], per_minute: u32, strict: bool) {
    let per_second = f64::from(per_minute) / 60.0;
    for seconds in [1, 5, 10, 60] {
        let seen = fullest(times, TimeDelta::seconds(seconds));
        let rate = per_second * seconds as f64;
        eprintln!("fullest {seconds} s: {seen} {what}, the rate is {rate}");
        // A turn may be used 1.5 s late on a busy machine, so two windows may share a little of each other's.
        assert!(seen as f64 <= rate + 1.0 + 2.0 * per_second, "{seen} {what} within {seconds} s");
    }
    if strict {
        let span = (times[times.len() - 1] - times[0]).as_seconds_f64();
        assert!(span > 60.0, "{what} of {span:.1} s show nothing about a minute: more jobs are needed");
        let fullest = fullest(times, TimeDelta::seconds(60));
        assert!(
            fullest as f64 <= 1.02 * f64::from(per_minute),
            "{fullest} {what} in a minute of {per_minute}"
        );
    }
}

/// How many stand in the line before the provider, and at which moment.
#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
async fn in_line(pool: &sqlx::PgPool) -> (i64, DateTime<Utc>) {
    sqlx::query_as("SELECT count(*), clock_timestamp() FROM limit_waits")
        .fetch_one(pool)
        .await
        .expect("a count")
}

async fn film(system: &System, campaign: &str, pairs: u32) -> i64 {
    system.approved_job(campaign, json!({"num_pairs": pairs, "parameters": {"music": false}})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_workers_together_keep_the_accounts_rate_and_use_it() {
    let per_minute = setting("SPOOL_TEST_LIMIT_PER_MINUTE", 120);
    let jobs = setting("SPOOL_TEST_LIMIT_JOBS", 8);
    let workers = setting("SPOOL_TEST_LIMIT_WORKERS", 3);
    // As many looks as orders: each prediction wants more than that.
    let reads_per_minute = per_minute;
    let strict = workers >= 8;
    let env = vec![
        ("REPLICATE_CREATES_PER_MINUTE", per_minute.to_string()),
        ("REPLICATE_READS_PER_MINUTE", reads_per_minute.to_string()),
        ("SPOOL_DB_POOL", "6".to_owned()),
    ];
    // They take long enough to be asked for in vain; when there are hundreds of films to make from them, until all are ordered: making
    // films would leave the limits no processor.
    let (speed, run_time) = if strict { (5.0, 500) } else { (60.0, 300) };
    let system = System::start(&Options { workers, speed, cheap_media: true, env }).await;
    system.workers_are(workers as usize).await;
    let body = json!({"scope": "all", "period": "day", "hard_limit_micros": 100_000_000_000_i64});
    assert!(system.request(Method::PUT, "/api/v3/admin/budgets", Some(body)).await.status().is_success());
    let campaign = system.campaign().await;
    system.fault(json!({"times": "always", "fault": {"kind": "run_time", "seconds": run_time}})).await;
    // Nobody buys before there is more to buy than anybody may.
    system.pause("predict", Some("all is ordered at once")).await;
    let mut ids = Vec::new();
    for _ in 0..jobs {
        ids.push(film(&system, &campaign, 4).await);
    }
    assert_eq!(arrivals(&system).await.len(), 0);
    system.pause("predict", None).await;
    let orders = jobs as usize * 4;
    let pool = system.database().await;
    // Before they stand in the line they wait for a processor, not for the limit.
    let all_here = wait::until("all to have been to the line", async || {
        let (waiting, at) = in_line(&pool).await;
        (waiting as usize + arrivals(&system).await.len() >= orders).then_some(at)
    })
    .await;
    let patience = Duration::from_secs(180) + Duration::from_secs(60) * jobs * 4 / per_minute;
    wait::within(patience, "all clips to be ordered", async || {
        (arrivals(&system).await.len() >= orders).then_some(())
    })
    .await;
    let creates = arrivals(&system).await;
    kept("creates", &creates, per_minute, strict);
    used("creates in all", &creates, per_minute);
    let waited = &creates[creates.partition_point(|at| *at < all_here)..];
    assert!(waited.len() > 1, "nearly all was ordered before all stood in the line: more jobs are needed");
    let share = used("creates while all the others stood in the line", waited, per_minute);
    assert!(
        share > if strict { 0.95 } else { 0.7 },
        "only {share:.3} of the rate was used while work waited"
    );
    let reads = requests(&system, false).await;
    kept("reads", &reads, reads_per_minute, strict);
    used("reads", &reads, reads_per_minute);
    eprintln!("by {workers} workers");
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
    let before = arrivals(&system).await.len();
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
