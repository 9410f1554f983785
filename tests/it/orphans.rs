//! What is at the provider with our mark and without a row is adopted or called off; what bears no mark of ours is left alone.

use serde_json::{Value, json};
use system_tests::armed::Armed;
use system_tests::system::{Options, System};
use system_tests::wait;

const MODEL: &str = "google/veo-3.1-fast";

fn options(settle: u32, armed: &Armed) -> Options {
    let env = vec![
        ("SPOOL_LEASE_SECONDS", "2".into()),
        ("SPOOL_SUBMIT_SETTLE_SECONDS", settle.to_string()),
        ("SPOOL_ORPHAN_SWEEP_SECONDS", "1".into()),
        armed.env(),
    ];
    Options { workers: 2, speed: 60.0, cheap_media: true, env }
}

fn one_clip() -> Value {
    json!({"num_pairs": 1, "parameters": {"music": false}})
}

async fn lose_the_answer(system: &System) {
    system.fault(json!({"match": {"route": "create", "model": MODEL}, "times": 1, "fault": {"kind": "drop_response"}})).await;
    system.fault(json!({"match": {}, "times": "always", "fault": {"kind": "webhook_lost"}})).await;
}

async fn orphans(system: &System) -> Value {
    system.get("/api/v3/admin/orphans").await
}

/// A prediction that somebody else makes in the same account, with this image.
async fn foreign(system: &System, image: &str) -> String {
    let url = format!("{}/v1/models/{MODEL}/predictions", system.ready.simulator);
    let body = json!({"input": {"prompt": "somebody else's", "image": image, "duration": 4}});
    let request = system.http.post(url).bearer_auth("r8_somebody_else").json(&body);
    let made: Value = request.send().await.expect("an answer").json().await.expect("JSON");
    made["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
}

async fn status(system: &System, external_id: &str) -> Value {
    let url = format!("{}/v1/predictions/{external_id}", system.ready.simulator);
    let request = system.http.get(url).bearer_auth("r8_somebody_else");
    let found: Value = request.send().await.expect("an answer").json().await.expect("JSON");
    found["status"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_row_wants_is_called_off_and_what_is_not_ours_is_left_alone() {
    let armed = Armed::new();
    let system = System::start(&options(4, &armed)).await;
    let campaign = system.campaign().await;
    system.fault(json!({"match": {"input_contains": "somebody else"}, "times": "always", "fault": {"kind": "stuck_starting"}})).await;
    // One has nothing of ours, the other an address of ours that we have not signed.
    let strangers = [
        foreign(&system, "https://example.com/a.jpg").await,
        foreign(
            &system,
            &format!(
                "{}/api/v3/media/0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8e/first.jpg?exp=4000000000&sig=AAAA",
                system.ready.api
            ),
        )
        .await,
    ];
    // The provider hides one from its lists for longer than it should: it is given up, and another is bought.
    lose_the_answer(&system).await;
    system.fault(json!({"match": {}, "fault": {"kind": "list_hidden"}})).await;
    system.fault(json!({"match": {"model": MODEL}, "times": 1, "fault": {"kind": "stuck_processing"}})).await;
    let id = system.approved_job(&campaign, one_clip()).await;
    let job = system.finished(id).await;
    assert_eq!(job["status"], "completed", "{job}");
    assert_eq!(orphans(&system).await["meta"], json!({"adopted": 0, "canceled": 0, "cost_micros": 0}));
    for place in ["OrphanNoted", "OrphanCanceled", "OrphanEndUncommitted", "OrphanEnded"] {
        armed.arm(place, "");
    }
    system.no_faults().await;
    armed.until_reached("an orphan that no row wants").await;
    let found = wait::until("the orphan to be called off", async || {
        let orphans = orphans(&system).await;
        orphans["data"][0]["state"].is_string().then_some(orphans)
    })
    .await;
    assert_eq!(found["data"].as_array().map(Vec::len), Some(1), "{found}");
    let orphan = &found["data"][0];
    assert_eq!((&orphan["done"], &orphan["row_state"]), (&json!("canceled"), &json!("void")));
    let external_id = orphan["external_id"].as_str().expect("an id");
    let charges = system.charges().await;
    let charge = charges.iter().find(|one| one["prediction_id"] == external_id).expect("it was charged");
    assert_eq!(orphan["cost_micros"], charge["cost_micros"], "what it cost is known");
    assert_eq!(found["meta"]["cost_micros"], charge["cost_micros"]);
    assert!(charge["cost_micros"].as_i64() > Some(0), "it ran for a while: {charge}");
    system.books_balance().await;
    let waste = system.get("/api/v3/admin/spend/waste").await;
    let class = waste["data"].as_array().and_then(|all| all.iter().find(|one| one["class"] == "orphaned"));
    let class = class.unwrap_or_else(|| panic!("{waste}"));
    assert_eq!((&class["beside_ledger"]["micros"], &class["purchases"]), (&charge["cost_micros"], &json!(1)));
    assert_eq!(waste["meta"]["wasted"]["micros"], charge["cost_micros"], "the rest made a video: {waste}");
    let report = system.get("/api/v3/admin/spend?by=model").await;
    assert_eq!(report["meta"]["beside_ledger"], waste["meta"]["beside_ledger"], "{report}");
    assert_eq!(report["meta"]["settled"], waste["meta"]["settled"], "{report}");
    for stranger in &strangers {
        assert_eq!(status(&system, stranger).await, "starting", "it is not ours");
    }
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_looks_for_it_gets_it_from_the_sweep() {
    // The row itself would look after a minute.
    let armed = Armed::new();
    let system = System::start(&options(120, &armed)).await;
    let campaign = system.campaign().await;
    lose_the_answer(&system).await;
    for place in ["OrphanAdoptionUncommitted", "OrphanAdopted"] {
        armed.arm(place, "");
    }
    let id = system.approved_job(&campaign, one_clip()).await;
    let job = system.finished(id).await;
    assert_eq!(job["status"], "completed", "{job}");
    armed.all_reached("an orphan that its row looks for");
    let found = orphans(&system).await;
    assert_eq!(found["meta"], json!({"adopted": 1, "canceled": 0, "cost_micros": 0}), "{found}");
    system.ledgers_agree(id, 1).await;
    system.nothing_else_was_bought().await;
    system.stop().await;
}
