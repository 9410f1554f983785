//! A worker dies at every place where dying could lose or repeat something. Each time the job is
//! completed by the next process, and the simulator's ledger shows every clip bought exactly once.

use serde_json::json;
use std::path::Path;
use system_tests::system::{Options, System, command, program};

/// Purchases of a four-scene job with music.
const PURCHASES: usize = 8;
/// Places that are only reached when an answer was lost.
const AFTER_A_LOST_ANSWER: &[&str] = &["UnknownRecorded", "Found"];

/// Places that such a job does not pass: `memo.rs` and `cancel.rs` kill at these.
const ELSEWHERE: &[&str] = &["Memo", "Recall"];

fn options(crash_dir: &Path) -> Options {
    Options {
        workers: 2,
        speed: 120.0,
        cheap_media: true,
        env: vec![
            ("SPOOL_CRASH_DIR", crash_dir.display().to_string()),
            ("SPOOL_LEASE_SECONDS", "2".into()),
            ("SPOOL_SUBMIT_SETTLE_SECONDS", "4".into()),
        ],
    }
}

async fn crash_points() -> Vec<String> {
    let output = command(program("spool-worker")).arg("--crash-points").output().await.expect("it runs");
    assert!(output.status.success(), "build with --features spool-worker/crash-points: {output:?}");
    let points = String::from_utf8(output.stdout).expect("text");
    let passed = |point: &&str| !ELSEWHERE.iter().any(|start| point.starts_with(start));
    points.lines().filter(passed).map(ToOwned::to_owned).collect()
}

/// The provider creates predictions, and neither its answers nor its webhooks arrive.
async fn lose_answers(system: &System, count: u32) {
    system
        .fault(json!({"match": {"route": "create", "model": "google/veo-3.1-fast"}, "times": count,
                      "fault": {"kind": "drop_response"}}))
        .await;
    system.fault(json!({"match": {}, "times": "always", "fault": {"kind": "webhook_lost"}})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_each_point_the_job_completes_and_nothing_is_bought_twice() {
    let crash_dir = tempfile::tempdir().unwrap();
    let system = System::start(&options(crash_dir.path())).await;
    let campaign = system.campaign().await;
    let points = crash_points().await;
    assert!(points.len() >= 10, "{points:?}");
    for point in points {
        let armed = crash_dir.path().join(&point);
        std::fs::write(&armed, "").unwrap();
        if AFTER_A_LOST_ANSWER.contains(&point.as_str()) {
            lose_answers(&system, 1).await;
        }
        let id = system.approved_job(&campaign, json!({})).await;
        let job = system.finished(id).await;
        assert_eq!(job["status"], "completed", "after a crash at {point}: {job}");
        assert!(!armed.exists(), "no worker passed {point}");
        system.ledgers_agree(id, PURCHASES).await;
        system.nothing_else_was_bought().await;
        system.no_faults().await;
    }
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_point_of_one_job_it_still_completes() {
    let crash_dir = tempfile::tempdir().unwrap();
    let system = System::start(&options(crash_dir.path())).await;
    let campaign = system.campaign().await;
    for point in crash_points().await {
        std::fs::write(crash_dir.path().join(point), "").unwrap();
    }
    lose_answers(&system, 4).await;
    let id = system.approved_job(&campaign, json!({})).await;
    let job = system.finished(id).await;
    assert_eq!(job["status"], "completed", "{job}");
    system.ledgers_agree(id, PURCHASES).await;
    system.nothing_else_was_bought().await;
    let left: Vec<_> =
        std::fs::read_dir(crash_dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "not reached: {left:?}");
    system.stop().await;
}
