//! Postgres goes away in the middle of a job; a worker stands still past its lease.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use system_tests::system::{Options, System, alive};
use system_tests::wait;

/// The postmaster of the private cluster, by the connection's own word.
#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
async fn postmaster(system: &System) -> i32 {
    let pool = system.database().await;
    let folder: String = sqlx::query_scalar("SELECT current_setting('data_directory')")
        .fetch_one(&pool)
        .await
        .expect("a folder");
    let file = std::fs::read_to_string(format!("{folder}/postmaster.pid")).expect("postmaster.pid");
    file.lines().next().and_then(|pid| pid.trim().parse().ok()).expect("a pid")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_postgres_in_the_middle_of_a_job_needs_nobody() {
    let system =
        System::start(&Options { workers: 2, speed: 30.0, cheap_media: true, ..Options::default() }).await;
    let campaign = system.campaign().await;
    let id = system.approved_job(&campaign, json!({})).await;
    wait::until("the first purchase", async || (!system.charges().await.is_empty()).then_some(())).await;
    let before = system.workers().await;
    let old = postmaster(&system).await;
    // Fast shutdown: every connection is cut. The supervisor starts it again.
    kill(Pid::from_raw(old), Signal::SIGINT).expect("the postmaster can be signalled");
    let job = system.finished(id).await;
    assert_eq!(job["status"], "completed", "{job}");
    assert_ne!(postmaster(&system).await, old, "it is another server process");
    system.ledgers_agree(id, 8).await;
    system.nothing_else_was_bought().await;
    let pids = |workers: &[Value]| {
        let mut pids: Vec<i64> = workers.iter().filter_map(|worker| worker["pid"].as_i64()).collect();
        pids.sort_unstable();
        pids
    };
    assert_eq!(pids(&before), pids(&system.workers().await), "no worker was restarted");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_slept_past_its_lease_is_refused() {
    let env = vec![("SPOOL_LEASE_SECONDS", "2".into()), ("SPOOL_SUBMIT_SETTLE_SECONDS", "4".into())];
    let system = System::start(&Options { workers: 2, speed: 60.0, cheap_media: true, env }).await;
    system.workers_are(2).await;
    let campaign = system.campaign().await;
    // The provider takes its time to answer, so that a worker can fall asleep while it waits.
    system
        .fault(json!({"match": {"route": "create", "model": "google/veo-3.1-fast"}, "times": 4,
                      "fault": {"kind": "latency", "response_ms": 3000}}))
        .await;
    let id = system.approved_job(&campaign, json!({"parameters": {"music": false}})).await;
    let sleeper = wait::until("a worker that waits for an answer", async || {
        let workers = system.workers().await;
        let busy = workers.iter().find(|worker| worker["running"].as_i64() > Some(0))?;
        busy["pid"].as_i64()
    })
    .await as i32;
    kill(Pid::from_raw(sleeper), Signal::SIGSTOP).expect("it can be stopped");
    let job = system.finished(id).await;
    kill(Pid::from_raw(sleeper), Signal::SIGCONT).expect("it can be woken");
    assert_eq!(job["status"], "completed", "{job}");
    wait::until("the late completion to be refused", async || (refused(&system).await > 0).then_some(()))
        .await;
    assert!(alive(sleeper), "it goes on working");
    system.ledgers_agree(id, 4).await;
    system.nothing_else_was_bought().await;
    system.stop().await;
}

/// Runs whose completion came with a stale lease.
#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
async fn refused(system: &System) -> i64 {
    let pool = system.database().await;
    sqlx::query_scalar("SELECT count(*) FROM queue.run WHERE outcome = 8")
        .fetch_one(&pool)
        .await
        .expect("a count")
}
