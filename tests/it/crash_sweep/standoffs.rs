//! Places that a job passes only when somebody else must act first: money comes, a double appears, a webhook decides.

use reqwest::Method;
use serde_json::{Value, json};
use system_tests::armed::Armed;
use system_tests::books::number;
use system_tests::system::System;
use system_tests::wait;

pub(super) const PLACES: &[&str] = &[
    "TurnWaitUncommitted",
    "TurnWaitRecorded",
    "MoneyWaitUncommitted",
    "MoneyWaitRecorded",
    "DoubleCanceled",
    "DoubtUncommitted",
    "DoubtRecorded",
];

/// Passes all of them, and says which they are.
pub(super) async fn run(system: &System, armed: &Armed) -> &'static [&'static str] {
    a_line(system, armed).await;
    system.books_balance().await;
    no_money(system, armed).await;
    system.books_balance().await;
    a_double(system, armed).await;
    system.books_balance().await;
    a_doubt(system, armed).await;
    system.books_balance().await;
    PLACES
}

/// The provider has asked for a pause: those who come meanwhile go to the line.
async fn a_line(system: &System, armed: &Armed) {
    let campaign = system.campaign().await;
    system
        .fault(json!({"match": {"route": "create"}, "fault": {"kind": "throttle", "retry_after": 10}}))
        .await;
    let mut ids = vec![system.small_job(&campaign, json!({})).await];
    let pool = system.database().await;
    wait::until("a pause", async || {
        let paused = "SELECT count(*) FROM provider_limits WHERE class = 'create' AND paused_until > clock_timestamp()";
        (number(&pool, paused).await > 0).then_some(())
    })
    .await;
    armed.arm("TurnWaitUncommitted", "");
    armed.arm("TurnWaitRecorded", "");
    for _ in 0..2 {
        ids.push(system.small_job(&campaign, json!({})).await);
    }
    armed.until_reached("a line").await;
    for id in ids {
        completed(system, id).await;
    }
}

async fn no_money(system: &System, armed: &Armed) {
    let campaign = system.campaign().await;
    let limit = async |micros: i64| {
        let body = json!({"scope": "campaign", "scope_id": campaign, "period": "total", "hard_limit_micros": micros});
        let answer = system.request(Method::PUT, "/api/v3/admin/budgets", Some(body)).await;
        assert!(answer.status().is_success(), "{:?}", answer.text().await);
    };
    limit(100_000).await;
    armed.arm("MoneyWaitUncommitted", "");
    armed.arm("MoneyWaitRecorded", "");
    let id = system.small_job(&campaign, json!({})).await;
    armed.until_reached("no money").await;
    wait::until("the job to wait for money", async || {
        let job = system.get(&format!("/api/v3/jobs/{id}")).await;
        (job["parked"] == "budget").then_some(())
    })
    .await;
    limit(400_000).await;
    completed(system, id).await;
}

/// Somebody has sent our request a second time (a proxy, say): both bear our mark, one is kept and one is called off.
async fn a_double(system: &System, armed: &Armed) {
    let id = lost_and_not_listed(system, "twin").await;
    let first = created(system, "twin").await;
    // The double waits in the provider's queue, where calling it off is free.
    system.fault(json!({"match": {"input_contains": "twin"}, "fault": {"kind": "stuck_starting"}})).await;
    let url = format!("{}/v1/models/google/veo-3.1-fast/predictions", system.ready.simulator);
    let again =
        json!({"input": first["input"], "webhook": first["webhook"], "webhook_events_filter": ["completed"]});
    let answer = system.http.post(url).bearer_auth("r8_double").json(&again).send().await.expect("an answer");
    assert_eq!(answer.status(), 201, "{:?}", answer.text().await);
    wait::until("the last webhook to be lost", async || {
        let tries = system.simulated("webhooks").await;
        tries.into_iter().find(|one| one["prediction_id"] == first["id"] && one["event"] == "completed")
    })
    .await;
    armed.arm("DoubleCanceled", "");
    system.no_faults().await;
    completed(system, id).await;
    armed.until_reached("a double").await;
    let twins = system.simulated("predictions").await.into_iter().filter(|one| is_about(one, "twin"));
    let mut states: Vec<String> = twins.map(|one| one["status"].to_string()).collect();
    states.sort();
    assert_eq!(states, ["\"canceled\"", "\"succeeded\""].map(str::to_owned).to_vec(), "one is kept");
}

/// The provider has forgotten what it was asked: nothing is bought again, and a late webhook decides.
async fn a_doubt(system: &System, armed: &Armed) {
    system.fault(json!({"match": {"input_contains": "doubt"}, "fault": {"kind": "hold"}})).await;
    let id = lost_and_not_listed(system, "doubt").await;
    created(system, "doubt").await;
    armed.arm("DoubtUncommitted", "");
    armed.arm("DoubtRecorded", "");
    let pool = system.database().await;
    wait::until("the outcome to be unknown", async || {
        (number(&pool, "SELECT count(*) FROM predictions WHERE state = 'unknown'").await == 1).then_some(())
    })
    .await;
    an_hour_passes(&pool).await;
    armed.until_reached("a doubt").await;
    wait::until("the prediction to be in doubt", async || {
        (number(&pool, "SELECT count(*) FROM predictions WHERE state = 'in_doubt'").await == 1).then_some(())
    })
    .await;
    // The run ends, and its webhook comes through.
    system.no_faults().await;
    completed(system, id).await;
}

/// A job whose POST got no answer and whose first webhook is lost; lists fail until the faults are taken away.
async fn lost_and_not_listed(system: &System, style: &str) -> i64 {
    let campaign = system.campaign().await;
    for fault in [
        json!({"match": {"route": "create"}, "fault": {"kind": "drop_response"}}),
        json!({"match": {"event": "start"}, "times": "always", "fault": {"kind": "webhook_lost"}}),
        json!({"match": {"route": "list"}, "times": "always", "fault": {"kind": "http_error", "status": 503, "when": "before"}}),
    ] {
        system.fault(fault).await;
    }
    if style == "twin" {
        let all_lost = json!({"times": "always", "fault": {"kind": "webhook_lost"}});
        system.fault(all_lost).await;
    }
    system.small_job(&campaign, json!({"style": style})).await
}

async fn created(system: &System, style: &str) -> Value {
    wait::until("the prediction", async || {
        system.simulated("predictions").await.into_iter().find(|one| is_about(one, style))
    })
    .await
}

fn is_about(prediction: &Value, style: &str) -> bool {
    prediction["input"]["prompt"].as_str().is_some_and(|prompt| prompt.contains(&format!("{style} style")))
}

/// Nobody waits an hour: what is unknown was asked for an hour ago.
#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
async fn an_hour_passes(pool: &sqlx::PgPool) {
    sqlx::query("UPDATE predictions SET intent_at = intent_at - interval '1 hour' WHERE state = 'unknown'")
        .execute(pool)
        .await
        .expect("an hour");
}

async fn completed(system: &System, id: i64) {
    let job = system.finished(id).await;
    assert_eq!(job["status"], "completed", "{job}");
}
