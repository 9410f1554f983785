//! A deployment in the middle of the work: every worker is told to stop, one after the other, while twenty predictions are in
//! flight. None is canceled, none is bought again.

use serde_json::json;
use std::time::{Duration, Instant};
use system_tests::books::number;
use system_tests::system::{Options, System};
use system_tests::wait;

const JOBS: usize = 20;
const WORKERS: u32 = 3;
const SPEED: f64 = 60.0;
/// Renders of this length end one by one while three workers are restarted.
const UNMEASURED_S: f64 = 6.0;
/// A rolling restart makes the same work take less than so many times as long.
const MOST_LONGER: f64 = 1.10;

async fn start() -> (System, String) {
    let options = Options { workers: WORKERS, speed: SPEED, cheap_media: true, ..Options::default() };
    let system = System::start(&options).await;
    system.workers_are(WORKERS as usize).await;
    let campaign = system.campaign().await;
    (system, campaign)
}

/// Twenty jobs of one clip, each with its prediction ordered.
async fn ordered(system: &System, campaign: &str) -> Vec<i64> {
    let mut ids = Vec::new();
    for _ in 0..JOBS {
        ids.push(system.small_job(campaign, json!({})).await);
    }
    let pool = system.database().await;
    wait::until("twenty predictions", async || {
        let ordered = "SELECT count(*) FROM predictions WHERE external_id IS NOT NULL";
        (number(&pool, ordered).await == JOBS as i64).then_some(())
    })
    .await;
    ids
}

async fn restart_all(system: &System) {
    for pid in system.worker_pids().await {
        system.restart_worker(pid).await;
    }
}

async fn all_completed(system: &System, ids: &[i64]) {
    for id in ids {
        let job = system.finished(*id).await;
        assert_eq!(job["status"], "completed", "{job}");
    }
}

async fn is_wasteless(system: &System) {
    let states = system.simulated("predictions").await;
    let canceled = states.iter().filter(|one| one["status"] != "succeeded").count();
    assert_eq!((states.len(), canceled), (JOBS, 0), "each was created once, and none was called off");
    assert_eq!(system.purchases().await, (JOBS, 0));
    system.books_balance().await;
    let pool = system.database().await;
    let burnt = "SELECT count(*) FROM queue.task_history WHERE attempt > 1";
    assert_eq!(number(&pool, burnt).await, 0, "attempts that the restart used up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_cancels_nothing_and_buys_nothing_again() {
    let (system, campaign) = start().await;
    system.fault(json!({"fault": {"kind": "hold"}})).await;
    let ids = ordered(&system, &campaign).await;
    let pool = system.database().await;
    let in_flight = "SELECT count(*) FROM predictions WHERE state = 'submitted'";
    assert_eq!(number(&pool, in_flight).await, JOBS as i64, "all of them are in flight");
    let before = system.worker_pids().await;
    restart_all(&system).await;
    assert!(system.worker_pids().await.iter().all(|pid| !before.contains(pid)), "every worker is another");
    system.no_faults().await;
    all_completed(&system, &ids).await;
    is_wasteless(&system).await;
    system.stop().await;
}

/// How long renders take when a deployment is measured, in seconds: by `SPOOL_TEST_RENDER_SECONDS=120`.
fn measured() -> Option<f64> {
    std::env::var("SPOOL_TEST_RENDER_SECONDS").ok().and_then(|text| text.parse().ok())
}

/// Twenty renders of so many seconds, through a restart or without; how long all of it took.
async fn renders(seconds: f64, restart: bool) -> Duration {
    let (system, campaign) = start().await;
    let slow = json!({"times": "always", "fault": {"kind": "run_time", "seconds": seconds * SPEED}});
    system.fault(slow).await;
    let begin = Instant::now();
    let ids = ordered(&system, &campaign).await;
    if restart {
        restart_all(&system).await;
    }
    all_completed(&system, &ids).await;
    let took = begin.elapsed();
    is_wasteless(&system).await;
    system.stop().await;
    took
}

/// Renders end while the workers are restarted. How much longer that takes is asserted where it is measured.
#[tokio::test(flavor = "multi_thread")]
async fn renders_that_end_during_a_rolling_restart_are_bought_once() {
    let seconds = measured().unwrap_or(UNMEASURED_S);
    let with = renders(seconds, true).await.as_secs_f64();
    if measured().is_none() {
        return;
    }
    let without = renders(seconds, false).await.as_secs_f64();
    let longer = with / without;
    eprintln!(
        "{JOBS} renders of {seconds} s: {without:.1} s, and {with:.1} s with a rolling restart of {WORKERS} workers ({:+.1} %)",
        (longer - 1.0) * 100.0
    );
    assert!(longer < MOST_LONGER, "{with:.1} s instead of {without:.1} s");
}
