//! Webhooks to callers: a worker that dies in the middle loses none, one receiver that hangs holds up nobody else, and the log tells
//! what became of each.

use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use system_tests::armed::Armed;
use system_tests::receiver::{Received, Receiver};
use system_tests::system::{Options, System};
use system_tests::wait;

/// Where a worker dies: before and after the message has gone out, and before and after that is written down.
const PLACES: [&str; 4] = ["HookBegun", "HookSent", "HookUncommitted", "HookRecorded"];
/// Messages for the receiver that hangs.
const BACKLOG: usize = 12;

async fn endpoint(system: &System, url: &str, events: &[&str]) -> (String, String) {
    let made = system.post("/api/v3/webhooks/endpoints", json!({"url": url, "event_types": events})).await;
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&made["data"]["id"]), text(&made["secret"]))
}

async fn deliveries(system: &System, query: &str) -> Vec<Value> {
    let listed = system.get(&format!("/api/v3/webhooks/deliveries?limit=200&{query}")).await;
    listed["data"].as_array().expect("a list").clone()
}

async fn log(system: &System, delivery: &Value) -> Vec<Value> {
    let id = delivery["id"].as_str().expect("an id");
    let shown = system.get(&format!("/api/v3/webhooks/deliveries/{id}")).await;
    shown["data"]["log"].as_array().expect("a log").clone()
}

async fn ended(system: &System, endpoint: &str) -> Vec<Value> {
    wait::until("every webhook to end", async || {
        let all = deliveries(system, &format!("endpoint_id={endpoint}")).await;
        (!all.is_empty() && all.iter().all(|one| one["state"] != "pending")).then_some(all)
    })
    .await
}

fn by_id(received: &[Received]) -> BTreeMap<&str, Vec<&Received>> {
    let mut by_id: BTreeMap<&str, Vec<&Received>> = BTreeMap::new();
    for one in received {
        by_id.entry(one.id()).or_default().push(one);
    }
    by_id
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_around_the_sending_none_is_lost_and_each_keeps_its_id() {
    let (armed, receiver) = (Armed::new(), Receiver::start().await);
    let env = vec![armed.env(), receiver.env(), ("SPOOL_LEASE_SECONDS", "2".into())];
    let system = System::start(&Options { workers: 2, speed: 120.0, cheap_media: true, env }).await;
    system.workers_are(2).await;
    let (id, secret) = endpoint(&system, &receiver.url("/all"), &[]).await;
    let campaign = system.campaign().await;
    for place in PLACES {
        armed.arm(place, "");
    }
    let job = system.small_job(&campaign, json!({})).await;
    assert_eq!(system.finished(job).await["status"], "completed");
    let all = wait::until("the end of the job to be told", async || {
        let all = ended(&system, &id).await;
        all.iter().any(|one| one["event_type"] == "job.completed").then_some(all)
    })
    .await;
    armed.until_reached("webhooks").await;
    assert!(all.iter().all(|one| one["state"] == "delivered"), "{all:?}");

    let received = receiver.received("/all");
    let by_id = by_id(&received);
    for one in &all {
        let id = one["id"].as_str().expect("an id");
        let same = by_id.get(id).unwrap_or_else(|| panic!("never came: {one}"));
        assert!(same.iter().all(|copy| copy.body == same[0].body), "the same in every try");
        assert!(same.iter().all(|copy| copy.is_signed_with(&secret)), "{one}");
        assert_eq!(same[0].kind(), one["event_type"]);
        assert_eq!(same[0].json()["data"]["job_id"], job);
    }
    assert_eq!(by_id.len(), all.len(), "and nothing else");
    for kind in ["job.created", "job.approved", "job.progress", "job.completed"] {
        assert!(all.iter().any(|one| one["event_type"] == kind), "{kind}: {all:?}");
    }
    // Two of the four deaths came after the endpoint had it and before we knew.
    let repeated = by_id.values().filter(|copies| copies.len() > 1).count();
    assert!(repeated > 0, "nobody got anything twice: {received:?}");
    let mut unknown = 0;
    for one in &all {
        let log = log(&system, one).await;
        assert_eq!(log.len(), one["attempts"].as_u64().expect("a number") as usize);
        assert_eq!(log[0]["status"], 204, "{log:?}");
        unknown += log.iter().filter(|attempt| attempt["status"].is_null()).count();
    }
    assert!(
        unknown >= PLACES.len() - 1,
        "each death but the last one left a try without an answer: {unknown}"
    );
    system.books_balance().await;
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_holds_up_nobody_else() {
    let receiver = Receiver::start().await;
    // It hangs for as long as the whole test may take to show that nobody waits for it.
    let env =
        vec![receiver.env(), ("SPOOL_SLOTS_HOOKS", "6".into()), ("SPOOL_HOOK_TIMEOUT_SECONDS", "60".into())];
    let system = System::start(&Options { workers: 1, speed: 120.0, cheap_media: true, env }).await;
    receiver.answer("/hangs", 0);
    let (hangs, _) = endpoint(&system, &receiver.url("/hangs"), &[]).await;
    let (works, _) = endpoint(&system, &receiver.url("/works"), &[]).await;
    let ping =
        async |id: &str| system.post(&format!("/api/v3/webhooks/endpoints/{id}/ping"), json!({})).await;
    for _ in 0..BACKLOG {
        ping(&hangs).await;
    }
    wait::until("the receiver to hang", async || (!receiver.received("/hangs").is_empty()).then_some(()))
        .await;
    for _ in 0..BACKLOG {
        ping(&works).await;
    }
    wait::until("the other one to get all of its own", async || {
        (receiver.received("/works").len() == BACKLOG).then_some(())
    })
    .await;
    // Meanwhile: a few are with the one that hangs, the rest of its own waits for them.
    let waiting = deliveries(&system, &format!("endpoint_id={hangs}")).await;
    assert!(waiting.iter().all(|one| one["state"] == "pending"), "{waiting:?}");
    assert!(receiver.received("/hangs").len() <= 4, "no more at once than may be");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_and_an_operator_can_act_on_it() {
    let receiver = Receiver::start().await;
    let env = vec![receiver.env()];
    let system = System::start(&Options { workers: 1, speed: 120.0, cheap_media: true, env }).await;
    let (id, first) = endpoint(&system, &receiver.url("/moody"), &["job.created"]).await;
    let path = format!("/api/v3/webhooks/endpoints/{id}");

    // A ping is tried once.
    receiver.answer("/moody", 500);
    system.post(&format!("{path}/ping"), json!({})).await;
    let failed = ended(&system, &id).await;
    assert_eq!((&failed[0]["state"], &failed[0]["last_status"]), (&json!("failed"), &json!(500)));
    let attempt = &log(&system, &failed[0]).await[0];
    assert_eq!(attempt["response"], "a word from the receiver", "{attempt}");
    assert!(attempt["latency_ms"].is_u64(), "{attempt}");
    assert!(system.get(&path).await["data"]["failing_since"].is_string());

    // Sent again under the same id, with both secrets.
    receiver.answer("/moody", 200);
    let rotated = system.post(&format!("{path}/rotate"), json!({})).await;
    let second = rotated["secret"].as_str().expect("a secret").to_owned();
    let resend = format!("/api/v3/webhooks/deliveries/{}/resend", failed[0]["id"].as_str().expect("an id"));
    system.post(&resend, json!({})).await;
    assert_eq!(ended(&system, &id).await[0]["state"], "delivered");
    let received = receiver.received("/moody");
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].id(), received[1].id());
    assert!(received[0].is_signed_with(&first) && !received[0].is_signed_with(&second));
    assert!(received[1].is_signed_with(&first) && received[1].is_signed_with(&second));
    assert!(system.get(&path).await["data"]["failing_since"].is_null());

    // What fails is tried again by itself, and waits no longer when somebody asks.
    receiver.answer("/moody", 503);
    let campaign = system.campaign().await;
    let body = json!({"campaign_id": campaign, "num_pairs": 1, "clip_duration": 4});
    system.post("/api/v3/jobs/from-image-pairs", body).await;
    let about_jobs = format!("endpoint_id={id}&event_type=job.created");
    wait::until("three tries", async || {
        let told = deliveries(&system, &about_jobs).await;
        (told.first()?["attempts"].as_i64()? >= 2).then_some(())
    })
    .await;
    receiver.answer("/moody", 204);
    let pending = &deliveries(&system, &about_jobs).await[0];
    let id_of_it = pending["id"].as_str().expect("an id");
    system.post(&format!("/api/v3/webhooks/deliveries/{id_of_it}/resend"), json!({})).await;
    assert!(ended(&system, &id).await.iter().all(|one| one["state"] == "delivered"));

    // 410: it is told nothing more.
    receiver.answer("/moody", 410);
    system.post(&format!("{path}/ping"), json!({})).await;
    ended(&system, &id).await;
    let gone = system.get(&path).await;
    assert_eq!((&gone["data"]["enabled"], &gone["data"]["disabled_reason"]), (&json!(false), &json!("gone")));
    let before = receiver.received("/moody").len();
    let body = json!({"campaign_id": campaign, "num_pairs": 1, "clip_duration": 4});
    system.post("/api/v3/jobs/from-image-pairs", body).await;
    let refused = system.request(Method::POST, &format!("{path}/ping"), Some(json!({}))).await;
    assert_eq!(refused.status(), 409);
    assert_eq!(deliveries(&system, &about_jobs).await.len(), 1, "what happens meanwhile is not told");
    assert_eq!(receiver.received("/moody").len(), before);
    system.stop().await;
}
