//! Items 7, 13 and 14: a yes starts the work, once, and a restart does not stop it.

use reqwest::Method;
use serde_json::{Value, json};
use system_tests::system::{Options, System};
use system_tests::wait;

use super::{JOBS, PAIRS, ask, has, id_of};

#[tokio::test(flavor = "multi_thread")]
async fn items_7_13_and_14_approval_and_recovery() {
    let options = Options { cheap_media: true, ..Options::default() };
    let system = System::start(&options).await;
    let campaign = system.campaign().await;
    let id = item_7_only_what_is_pending_is_approved(&system, &campaign).await;
    let twice = item_14_two_approvals_start_it_once(&system, &campaign).await;

    // Its renders go on at the provider and do not end before they are let go.
    wait::until("both to be in the making", async || {
        let mut at = Vec::new();
        for id in [id, twice] {
            at.push(system.get(&format!("{JOBS}/{id}")).await["status"].clone());
        }
        at.iter().all(|status| status == "processing").then_some(())
    })
    .await;
    let dir = system.kill().await;
    let system = System::start_in(dir, &options).await;
    system.no_faults().await;
    item_13_it_goes_on_after_a_restart(&system, id).await;
    item_13_it_goes_on_after_a_restart(&system, twice).await;
    // One clip each, and nothing that only the provider knows.
    system.ledgers_agree(id, 1).await;
    system.ledgers_agree(twice, 1).await;
    system.nothing_else_was_bought().await;
    system.stop().await;
}

async fn item_7_only_what_is_pending_is_approved(system: &System, campaign: &str) -> i64 {
    system.fault(json!({"times": "always", "fault": {"kind": "hold"}})).await;
    let id = job(system, campaign).await;
    let path = format!("{JOBS}/{id}/approve");
    let approved = ask(system, Method::POST, &path, None, 200).await;
    has(&approved, "message job_id status");
    assert_eq!((&approved["job_id"], &approved["status"]), (&json!(id), &json!("approved")));
    let refused = ask(system, Method::POST, &path, None, 422).await;
    has(&refused, "error job_id current_status reason");
    assert!(matches!(refused["current_status"].as_str(), Some("approved" | "processing")), "{refused}");
    let unknown = ask(system, Method::POST, &format!("{JOBS}/4711/approve"), None, 404).await;
    assert_eq!(unknown["job_id"], 4711);
    // The yes is what starts it: nothing else was asked for.
    wait::until("a paid call", async || (!system.simulated("predictions").await.is_empty()).then_some(()))
        .await;
    id
}

async fn item_14_two_approvals_start_it_once(system: &System, campaign: &str) -> i64 {
    let id = job(system, campaign).await;
    let path = format!("{JOBS}/{id}/approve");
    let go = || system.request(Method::POST, &path, None);
    let (a, b) = tokio::join!(go(), go());
    let mut statuses = [a.status().as_u16(), b.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 422], "one of two that come at once");
    id
}

async fn item_13_it_goes_on_after_a_restart(system: &System, id: i64) {
    let job = system.finished(id).await;
    assert_eq!(job["status"], "completed", "{job}");
    let stream = system.request(Method::GET, &format!("{JOBS}/{id}/events"), None).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    // The job has ended, and so does the stream.
    let text = stream.text().await.expect("the events");
    let events: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).expect("JSON"))
        .collect();
    let place = |kind: &str| {
        let found = events.iter().position(|event| event["type"] == kind);
        found.unwrap_or_else(|| panic!("no event {kind} in {text}"))
    };
    assert!(place("created") < place("approved") && place("approved") < place("completed"));
}

/// The least that can be bought.
async fn job(system: &System, campaign: &str) -> i64 {
    let wish = json!({"campaign_id": campaign, "num_pairs": 1, "clip_duration": 4, "resolution": "720p", "music": false, "reuse": false});
    id_of(&ask(system, Method::POST, PAIRS, Some(wish), 201).await)
}
