//! A deployment in the middle of the work: every worker is told to stop, one after the other, while twenty predictions are in
//! flight. None is canceled, none is bought again.

use serde_json::json;
use std::time::{Duration, Instant};
use system_tests::books::number;
use system_tests::system::{Options, System};
use system_tests::wait;

const JOBS: usize = 20;
const WORKERS: u32 = 3;

async fn start() -> (System, String) {
    let options = Options { workers: WORKERS, speed: 60.0, cheap_media: true, ..Options::default() };
    let system = System::start(&options).await;
    system.workers_are(WORKERS as usize).await;
    let campaign = system.campaign().await;
    (system, campaign)
}

/// Twenty jobs of one clip, each with its prediction in flight.
async fn in_flight(system: &System, campaign: &str) -> Vec<i64> {
    let mut ids = Vec::new();
    for _ in 0..JOBS {
        ids.push(system.small_job(campaign, json!({})).await);
    }
    let pool = system.database().await;
    wait::until("twenty predictions in flight", async || {
        let submitted = "SELECT count(*) FROM predictions WHERE state = 'submitted'";
        (number(&pool, submitted).await == JOBS as i64).then_some(())
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

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_cancels_nothing_and_buys_nothing_again() {
    let (system, campaign) = start().await;
    system.fault(json!({"fault": {"kind": "hold"}})).await;
    let ids = in_flight(&system, &campaign).await;
    let before = system.worker_pids().await;
    restart_all(&system).await;
    assert!(system.worker_pids().await.iter().all(|pid| !before.contains(pid)), "every worker is another");
    system.no_faults().await;
    all_completed(&system, &ids).await;
    let states = system.simulated("predictions").await;
    let canceled = states.iter().filter(|one| one["status"] != "succeeded").count();
    assert_eq!((states.len(), canceled), (JOBS, 0), "each was created once, and none was called off");
    assert_eq!(system.purchases().await, (JOBS, 0));
    system.books_balance().await;
    let pool = system.database().await;
    let burnt = "SELECT count(*) FROM queue.task_history WHERE attempt > 1";
    assert_eq!(number(&pool, burnt).await, 0, "attempts that the restart used up");
    system.stop().await;
}

/// The figures of a deployment: how long the same work takes with and without one. Renders take as many seconds as
/// `SPOOL_TEST_RENDER_SECONDS` says; without it nothing is measured.
#[tokio::test(flavor = "multi_thread")]
async fn how_much_longer_work_takes_when_all_workers_are_restarted() {
    let given = std::env::var("SPOOL_TEST_RENDER_SECONDS").ok();
    let Some(seconds) = given.and_then(|text| text.parse::<f64>().ok()) else { return };
    let mut took = Vec::new();
    for restart in [false, true] {
        let (system, campaign) = start().await;
        let slow = json!({"times": "always", "fault": {"kind": "run_time", "seconds": seconds * 60.0}});
        system.fault(slow).await;
        let begin = Instant::now();
        let ids = in_flight(&system, &campaign).await;
        if restart {
            restart_all(&system).await;
        }
        all_completed(&system, &ids).await;
        took.push(begin.elapsed());
        assert_eq!(system.purchases().await, (JOBS, 0));
        system.stop().await;
    }
    let [without, with] = [took[0], took[1]].map(|took: Duration| took.as_secs_f64());
    eprintln!(
        "{JOBS} renders of {seconds} s: {without:.1} s, and {with:.1} s with a rolling restart of {WORKERS} workers ({:+.1} %)",
        (with / without - 1.0) * 100.0
    );
}
