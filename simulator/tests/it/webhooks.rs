//! Webhooks: signed, filtered, in order, tried again; and each way of going wrong.

use crate::setup::{Arrival, Friend, Running, start};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

const FLUX: &str = "black-forest-labs/flux-schnell";

async fn create(running: &Running, friend: &Friend, events: Value) -> String {
    let body = json!({"input": {"prompt": "p"}, "webhook": friend.hook(), "webhook_events_filter": events});
    running.create_with(FLUX, body).await["id"].as_str().unwrap().to_owned()
}

fn header<'a>(arrival: &'a Arrival, name: &str) -> &'a str {
    arrival.headers[name].to_str().unwrap()
}

async fn is_signed(running: &Running, arrival: &Arrival) -> bool {
    let secret = running.get("/v1/webhooks/default/secret").await;
    let key = STANDARD.decode(secret["key"].as_str().unwrap().strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(
        format!("{}.{}.", header(arrival, "webhook-id"), header(arrival, "webhook-timestamp")).as_bytes(),
    );
    mac.update(&arrival.raw);
    header(arrival, "webhook-signature") == format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

fn statuses(arrivals: &[Arrival]) -> Vec<&str> {
    arrivals.iter().map(|arrival| arrival.body["status"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn start_and_completed_come_signed_and_in_order() {
    let running = start().await;
    let friend = Friend::start().await;
    let id = create(&running, &friend, json!(["start", "completed"])).await;
    let arrivals = friend.wait_for(2).await;
    assert_eq!(statuses(&arrivals), ["starting", "succeeded"]);
    for arrival in &arrivals {
        assert!(is_signed(&running, arrival).await);
        assert_eq!(arrival.body["id"], id.as_str());
    }
    assert_ne!(header(&arrivals[0], "webhook-id"), header(&arrivals[1], "webhook-id"));
    assert_eq!(arrivals[1].body["output"], running.ended(&id).await["output"]);
}

#[tokio::test]
async fn the_default_filter_is_output_and_completed() {
    let running = start().await;
    let friend = Friend::start().await;
    running.create_with(FLUX, json!({"input": {"prompt": "p"}, "webhook": friend.hook()})).await;
    let arrivals = friend.wait_for(2).await;
    assert_eq!(statuses(&arrivals), ["processing", "succeeded"]);
    assert!(arrivals[0].body["output"].is_array() && arrivals[0].body.get("metrics").is_none());
}

#[tokio::test]
async fn only_the_terminal_one_is_tried_again_with_the_same_id() {
    let running = start().await;
    let friend = Friend::start().await;
    friend.refuse(2);
    create(&running, &friend, json!(["start", "completed"])).await;
    let arrivals = friend.wait_for(3).await;
    assert_eq!(statuses(&arrivals), ["starting", "succeeded", "succeeded"]);
    assert_eq!(header(&arrivals[1], "webhook-id"), header(&arrivals[2], "webhook-id"));
    assert!(is_signed(&running, &arrivals[2]).await);
}

#[tokio::test]
async fn a_restart_delivers_what_was_due() {
    let running = start().await;
    let friend = Friend::start().await;
    friend.refuse(1);
    let id = create(&running, &friend, json!(["completed"])).await;
    friend.wait_for(1).await;
    let running = running.restart(|_| {}).await;
    let arrivals = friend.wait_for(2).await;
    assert_eq!(statuses(&arrivals), ["succeeded", "succeeded"]);
    running.ended(&id).await;
}

async fn tries(running: &Running, count: usize) -> Vec<Value> {
    running
        .until("webhook tries", async || {
            let log = running.get("/_sim/webhooks").await;
            let log = log.as_array().unwrap();
            (log.len() >= count).then(|| log.clone())
        })
        .await
}

#[tokio::test]
async fn a_lost_one_never_comes() {
    let running = start().await;
    let friend = Friend::start().await;
    running.fault(json!({"match": {"event": "completed"}, "fault": {"kind": "webhook_lost"}})).await;
    create(&running, &friend, json!(["start", "completed"])).await;
    let log = tries(&running, 2).await;
    assert_eq!((log[0]["status"].as_u64(), log[1]["error"].as_str()), (Some(200), Some("lost")));
    assert_eq!(friend.arrivals().len(), 1);
}

#[tokio::test]
async fn doubles_have_one_id() {
    let running = start().await;
    let friend = Friend::start().await;
    running
        .fault(json!({"match": {"event": "completed"}, "fault": {"kind": "webhook_double", "copies": 3}}))
        .await;
    create(&running, &friend, json!(["completed"])).await;
    let arrivals = friend.wait_for(3).await;
    assert!(arrivals.iter().all(|one| header(one, "webhook-id") == header(&arrivals[0], "webhook-id")));
}

#[tokio::test]
async fn reordered_and_late_ones_come_after_the_end() {
    for fault in [json!({"kind": "webhook_reorder"}), json!({"kind": "webhook_late", "ms": 3000})] {
        let running = start().await;
        let friend = Friend::start().await;
        running.fault(json!({"match": {"event": "start"}, "fault": fault})).await;
        create(&running, &friend, json!(["start", "completed"])).await;
        assert_eq!(statuses(&friend.wait_for(2).await), ["succeeded", "starting"]);
    }
}

#[tokio::test]
async fn bad_signatures_do_not_verify_and_stale_ones_are_old() {
    let running = start().await;
    let friend = Friend::start().await;
    running.fault(json!({"fault": {"kind": "webhook_bad_signature"}})).await;
    create(&running, &friend, json!(["completed"])).await;
    assert!(!is_signed(&running, &friend.wait_for(1).await[0]).await);
    running.fault(json!({"fault": {"kind": "webhook_stale"}})).await;
    create(&running, &friend, json!(["completed"])).await;
    let arrivals = friend.wait_for(2).await;
    let signed_at = |arrival: &Arrival| header(arrival, "webhook-timestamp").parse::<i64>().unwrap();
    assert!(is_signed(&running, &arrivals[1]).await);
    assert!(signed_at(&arrivals[0]) - signed_at(&arrivals[1]) > 300);
}
