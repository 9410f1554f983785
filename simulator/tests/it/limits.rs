//! Rate limits, low credit, no credit.

use crate::setup::start_with;
use reqwest::Method;
use serde_json::{Value, json};

const FLUX: &str = "/v1/models/black-forest-labs/flux-schnell/predictions";

#[tokio::test]
async fn creating_and_reading_have_a_bucket_each() {
    let running = start_with(|config| config.creates_per_minute = Some(2)).await;
    let body = json!({"input": {"prompt": "p"}});
    let first = running.send(Method::POST, FLUX, Some(&body)).await;
    assert_eq!(
        (first.status().as_u16(), &first.headers()["ratelimit-remaining"]),
        (201, &"1".parse().unwrap())
    );
    assert_eq!(running.post(FLUX, &body).await.0, 201);
    let (status, throttled) = running.post(FLUX, &body).await;
    assert_eq!(status, 429);
    assert!(throttled["retry_after"].as_u64().unwrap() >= 1, "{throttled}");
    assert!(throttled["detail"].as_str().unwrap().contains("resets in ~"));
    running.get("/v1/account").await;
    assert_eq!(running.get("/_sim/charges").await.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn low_credit_slows_down_and_no_credit_stops() {
    let running = start_with(|_| {}).await;
    let body = json!({"input": {"prompt": "p"}});
    running.post("/_sim/credit", &json!({"left_micros": 4_000_000})).await;
    assert_eq!(running.post(FLUX, &body).await.0, 201);
    let (status, throttled) = running.post(FLUX, &body).await;
    assert_eq!(status, 429);
    assert!(throttled["detail"].as_str().unwrap().contains("less than $5.0 in credit"));
    running.post("/_sim/credit", &json!({"left_micros": null})).await;
    assert_eq!(running.post(FLUX, &body).await.0, 201);
    running.fault(json!({"fault": {"kind": "no_credit"}})).await;
    let (status, refused) = running.post(FLUX, &body).await;
    assert_eq!((status, refused["title"].as_str()), (402, Some("Insufficient credit")));
}

#[tokio::test]
async fn no_credit_is_a_402() {
    let running = start_with(|_| {}).await;
    running.post("/_sim/credit", &json!({"left_micros": 0})).await;
    let (status, refused): (u16, Value) = running.post(FLUX, &json!({"input": {"prompt": "p"}})).await;
    assert_eq!((status, refused["status"].as_u64()), (402, Some(402)));
}
