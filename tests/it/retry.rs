//! A failed job is tried again: the price first, then only what is missing is bought.

use reqwest::Method;
use serde_json::json;
use system_tests::system::{Options, System};

/// A clip: 4 s of veo-3.1-fast at $0.10.
const CLIP: i64 = 400_000;

#[expect(clippy::disallowed_methods, reason = "as if the process had died in a way that nobody thought of")]
async fn lose_sight_of_a_clip(system: &System, id: i64) {
    let scene = "UPDATE scenes SET state = 'failed', clip_digest = NULL, error = 'x'
                 WHERE id = (SELECT id FROM scenes WHERE job_id = $1 AND state = 'completed' LIMIT 1)";
    let done = sqlx::query(scene).bind(id).execute(&system.database().await).await.expect("a write");
    assert_eq!(done.rows_affected(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_says_its_price_and_buys_the_missing_clip_only() {
    let system =
        System::start(&Options { workers: 2, speed: 60.0, cheap_media: true, ..Options::default() }).await;
    let campaign = system.campaign().await;
    system
        .fault(json!({"match": {"model": "google/veo-3.1-fast", "nth": 2},
                      "fault": {"kind": "fail", "error": "the prompt makes no sense", "charge": "none"}}))
        .await;
    let id = system.approved_job(&campaign, json!({"num_pairs": 3})).await;
    let job = system.finished(id).await;
    assert_eq!((&job["status"], &job["error_code"]), (&json!("failed"), &json!("scene_failed")), "{job}");
    system.no_faults().await;
    let before = system.charges().await.len();
    let bought = system.bought(id).await;

    // The price, for the one and for all; nothing changes.
    let retry = format!("/api/v3/jobs/{id}/retry");
    let one = system.post(&retry, json!({"dry_run": true})).await;
    let all = system.post("/api/v3/jobs/retry", json!({"error_code": "scene_failed"})).await;
    assert_eq!(all["data"], json!([one]), "{all}");
    assert_eq!((&all["dry_run"], &all["matched"]), (&json!(true), &json!(1)));
    let music = bought.len() as i64 - 2;
    assert_eq!((&one["keeps"]["clips"], &one["keeps"]["music"]), (&json!(2), &json!(music)), "{one}");
    let paid: i64 = bought.iter().map(|one| one.cost_micros).sum();
    assert_eq!((&one["keeps"]["micros"], &all["keeps"]["micros"]), (&json!(paid), &json!(paid)));
    let lines = one["lines"].as_array().expect("lines");
    assert_eq!((&lines[0]["micros"], &lines[0]["quantity"]), (&json!(CLIP), &json!(4.0)), "{one}");
    assert_eq!(system.get(&format!("/api/v3/jobs/{id}")).await["status"], "failed");
    let too_dear = system.request(Method::POST, &retry, Some(json!({"max_cost_micros": CLIP - 1}))).await;
    assert_eq!(too_dear.status(), 422);

    // A scene that has lost sight of its clip on the way finds it again.
    lose_sight_of_a_clip(&system, id).await;

    // Two at once: one of them does it, the other is told that it runs.
    let go = || system.request(Method::POST, &retry, Some(json!({})));
    let (a, b) = tokio::join!(go(), go());
    let mut statuses = [a.status().as_u16(), b.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    let job = system.finished(id).await;
    assert_eq!((&job["status"], &job["revision"]), (&json!("completed"), &json!(2)), "{job}");

    let charges = system.charges().await;
    let clips = charges[before..].iter().filter(|charge| charge["model"] == "google/veo-3.1-fast").count();
    assert_eq!(clips, 1, "the missing clip, once: {:?}", &charges[before..]);
    system.ledgers_agree(id, 6).await;
    system.nothing_else_was_bought().await;
    let waste = system.get("/api/v3/admin/spend/waste").await;
    assert_eq!(waste["meta"]["wasted"]["micros"], 0, "all of it made a video in the end: {waste}");
    let report = system.get("/api/v3/admin/spend?by=model").await;
    assert_eq!(report["meta"]["settled"], waste["meta"]["settled"], "{report}");
    system.stop().await;
}
