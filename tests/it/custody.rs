//! Outputs vanish after an hour: the one with the least time left is fetched first, and what is lost is seen.

use serde_json::{Value, json};
use system_tests::system::{Options, System};
use system_tests::wait;

fn options() -> Options {
    let env = vec![("SPOOL_SLOTS_COLLECT", "1".into())];
    Options { workers: 1, speed: 120.0, cheap_media: true, env }
}

/// Holds everything back that would fetch an output, or lets it go.
#[expect(clippy::disallowed_methods, reason = "as an operator would with psql")]
async fn collecting(system: &System, goes_on: bool) {
    let pool = system.database().await;
    let sql = if goes_on {
        "UPDATE queue.queue SET paused_at = NULL, paused_why = NULL WHERE name = 'collect'"
    } else {
        "INSERT INTO queue.queue (name, paused_at, paused_why) VALUES ('collect', now(), 'a test')
         ON CONFLICT (name) DO UPDATE SET paused_at = now(), paused_why = 'a test'"
    };
    sqlx::query(sql).execute(&pool).await.expect("changed");
}

async fn custody(system: &System) -> Value {
    system.get("/api/v3/admin/custody").await
}

async fn waiting(system: &System, count: usize) -> Value {
    wait::until("outputs in custody", async || {
        let custody = custody(system).await;
        (custody["meta"]["waiting"] == count).then_some(custody)
    })
    .await
}

/// The order in which a job's outputs were stored.
#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
async fn stored(system: &System, job_id: i64) -> Vec<String> {
    let pool = system.database().await;
    sqlx::query_scalar(
        "SELECT data ->> 'prediction_id' FROM job_events WHERE job_id = $1 AND type = 'render_collected' ORDER BY seq",
    )
    .bind(job_id)
    .fetch_all(&pool)
    .await
    .expect("events")
}

/// As if the provider had finished it ten minutes earlier than it has.
#[expect(clippy::disallowed_methods, reason = "nobody waits for ten minutes")]
async fn older(system: &System, prediction: &str) {
    let pool = system.database().await;
    for sql in [
        "UPDATE predictions SET output_gone_at = output_gone_at - interval '10 minutes' WHERE id::text = $1",
        "UPDATE queue.task SET run_at = run_at - interval '10 minutes' WHERE kind = 'collect' AND unique_key = $1",
    ] {
        let done = sqlx::query(sql).bind(prediction).execute(&pool).await.expect("changed");
        assert_eq!(done.rows_affected(), 1, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_output_with_the_least_time_left_is_fetched_first() {
    let system = System::start(&options()).await;
    let campaign = system.campaign().await;
    collecting(&system, false).await;
    let id = system.approved_job(&campaign, json!({"parameters": {"music": false}})).await;
    let before = waiting(&system, 4).await;
    let tightest = before["meta"]["tightest_seconds"].as_f64().expect("a number");
    assert!((3000.0..=3600.0).contains(&tightest), "{before}");
    system.metric_is("spool_custody_waiting", |count| count >= 4.0).await;
    system.metric_is("spool_custody_tightest_seconds", |left| (3000.0..=tightest).contains(&left)).await;
    let last = before["data"][3]["prediction_id"].as_str().expect("an id").to_owned();
    older(&system, &last).await;
    let now = custody(&system).await;
    assert_eq!(now["data"][0]["prediction_id"], last.as_str(), "least time first: {now}");
    let order: Vec<String> = now["data"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["prediction_id"].as_str().map(str::to_owned))
        .collect();
    collecting(&system, true).await;
    assert_eq!(system.finished(id).await["status"], "completed");
    assert_eq!(stored(&system, id).await, order);
    let after = custody(&system).await;
    assert_eq!((&after["meta"]["waiting"], &after["meta"]["lost"]), (&json!(0), &json!(0)));
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paid_but_lost_is_counted() {
    let system = System::start(&options()).await;
    let campaign = system.campaign().await;
    collecting(&system, false).await;
    let more = json!({"num_pairs": 1, "parameters": {"music": false}});
    let id = system.approved_job(&campaign, more).await;
    waiting(&system, 1).await;
    let url = format!("{}/_sim/clock/advance", system.ready.simulator);
    let answer = system.http.post(url).json(&json!({"seconds": 3700})).send().await.expect("an answer");
    assert!(answer.status().is_success());
    collecting(&system, true).await;
    let job = system.finished(id).await;
    assert_eq!((&job["status"], &job["error_code"]), (&json!("failed"), &json!("collect_failed")), "{job}");
    let custody = custody(&system).await;
    assert_eq!((&custody["meta"]["waiting"], &custody["meta"]["lost"]), (&json!(0), &json!(1)), "{custody}");
    assert_eq!(custody["meta"]["lost_micros"], 400_000);
    system.metric_is("spool_paid_but_lost", |count| (0.5..1.5).contains(&count)).await;
    system.metric_is("spool_paid_but_lost_micros", |micros| (399_999.5..400_000.5).contains(&micros)).await;
    assert_eq!((&custody["data"][0]["lost"], &custody["data"][0]["job_id"]), (&json!(true), &json!(id)));
    system.stop().await;
}
