//! What can be made to go wrong on purpose, and what it costs.

use crate::setup::{Running, start, start_with};
use reqwest::Method;
use serde_json::{Value, json};

const FLUX: &str = "/v1/models/black-forest-labs/flux-schnell/predictions";
const SLUG: &str = "black-forest-labs/flux-schnell";

fn body() -> Value {
    json!({"input": {"prompt": "p"}})
}

async fn bought(running: &Running) -> usize {
    running.get("/_sim/charges").await.as_array().unwrap().len()
}

#[tokio::test]
async fn errors_before_creating_buy_nothing_and_after_creating_they_do() {
    let running = start().await;
    running.fault(json!({"fault": {"kind": "http_error", "status": 503, "when": "before"}})).await;
    assert_eq!(running.send(Method::POST, FLUX, Some(&body())).await.status(), 503);
    assert_eq!(bought(&running).await, 0);
    running.fault(json!({"fault": {"kind": "http_error", "status": 504, "when": "after"}})).await;
    assert_eq!(running.send(Method::POST, FLUX, Some(&body())).await.status(), 504);
    assert_eq!(bought(&running).await, 1);
    assert_eq!(running.get("/v1/predictions").await["results"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_dropped_answer_is_a_purchase_all_the_same() {
    let running = start().await;
    running.fault(json!({"fault": {"kind": "drop_response"}})).await;
    let request = running.http.post(running.url(FLUX)).bearer_auth("r8_x").json(&body());
    request.send().await.expect_err("the connection was cut");
    assert_eq!(bought(&running).await, 1);
    running.fault(json!({"fault": {"kind": "drop_response", "when": "before"}})).await;
    let request = running.http.post(running.url(FLUX)).bearer_auth("r8_x").json(&body());
    request.send().await.expect_err("the connection was cut");
    assert_eq!(bought(&running).await, 1);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_purchase_all_the_same() {
    let running = start().await;
    running.fault(json!({"fault": {"kind": "break_off"}})).await;
    let request = running.http.post(running.url(FLUX)).bearer_auth("r8_x").json(&body());
    let answer = request.send().await.expect("the answer begins");
    assert_eq!(answer.status(), 201);
    answer.bytes().await.expect_err("it does not end");
    assert_eq!(bought(&running).await, 1);
    let rule = json!({"match": {"route": "list"}, "fault": {"kind": "break_off"}});
    running.fault(rule).await;
    let answer = running.send(Method::GET, "/v1/predictions", None).await;
    answer.bytes().await.expect_err("it does not end");
    let listed = running.get("/v1/predictions").await;
    assert_eq!(listed["results"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn throttling_says_how_long_in_each_of_its_ways() {
    let running = start().await;
    for (way, in_body, in_header) in [("body", true, false), ("header", false, true), ("text", false, false)]
    {
        running.fault(json!({"fault": {"kind": "throttle", "retry_after": 7, "say_in": way}})).await;
        let response = running.send(Method::POST, FLUX, Some(&body())).await;
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers().contains_key("retry-after"), in_header, "{way}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["retry_after"].as_u64().is_some(), in_body, "{way}");
    }
}

#[tokio::test]
async fn other_routes_fail_when_they_are_named() {
    let running = start().await;
    let rule =
        json!({"match": {"route": "get"}, "fault": {"kind": "http_error", "status": 500, "when": "before"}});
    running.fault(rule).await;
    let created = running.create(SLUG, json!({"prompt": "p"})).await;
    let path = format!("/v1/predictions/{}", created["id"].as_str().unwrap());
    assert_eq!(running.send(Method::GET, &path, None).await.status(), 500);
    assert_eq!(running.send(Method::GET, &path, None).await.status(), 200);
}

#[tokio::test]
async fn too_many_at_once_fail_with_e6716() {
    let running = start_with(|config| config.speed = 20.0).await;
    running.fault(json!({"match": {"model": SLUG}, "fault": {"kind": "e6716_above", "n": 2}})).await;
    let creating = (0..4).map(|_| running.create(SLUG, json!({"prompt": "p"})));
    let mut failed = 0;
    for created in futures::future::join_all(creating).await {
        let done = running.ended(created["id"].as_str().unwrap()).await;
        if done["status"] == "failed" {
            assert!(done["error"].as_str().unwrap().contains("(E6716)"));
            assert_eq!(running.charge(done["id"].as_str().unwrap()).await["cost_micros"], 0);
            failed += 1;
        }
    }
    assert!((1..=2).contains(&failed), "{failed} failed");
}

#[tokio::test]
async fn failures_cost_what_the_rules_say() {
    let running = start().await;
    let table = [
        ("Director: unexpected error handling prediction (E9828)", None, 3000),
        ("Prediction interrupted; please retry (code: PA)", None, 0),
        ("Service is temporarily unavailable (E003)", Some("full"), 3000),
    ];
    for (error, charge, cost) in table {
        let mut fault = json!({"kind": "fail", "error": error});
        if let Some(charge) = charge {
            fault["charge"] = json!(charge);
        }
        running.fault(json!({"fault": fault})).await;
        let done = running.run(SLUG, json!({"prompt": "p"})).await;
        assert_eq!((done["status"].as_str(), done["error"].as_str()), (Some("failed"), Some(error)));
        let charge = running.charge(done["id"].as_str().unwrap()).await;
        assert_eq!((charge["cost_micros"].as_u64(), charge["status"].as_str()), (Some(cost), Some("failed")));
    }
}

#[tokio::test]
async fn an_ignored_cancel_ends_in_success() {
    let running = start_with(|config| config.speed = 10.0).await;
    running.fault(json!({"fault": {"kind": "cancel_ignored"}})).await;
    let created = running.create(SLUG, json!({"prompt": "p"})).await;
    let id = created["id"].as_str().unwrap();
    assert_eq!(running.post(&format!("/v1/predictions/{id}/cancel"), &json!({})).await.0, 200);
    assert_eq!(running.ended(id).await["status"], "succeeded");
}

#[tokio::test]
async fn rules_are_listed_counted_and_cleared() {
    let running = start().await;
    let rules = json!([{"match": {"nth": 2}, "fault": {"kind": "throttle", "retry_after": 1}},
                       {"fault": {"kind": "latency", "response_ms": 1}, "times": 2}]);
    running.fault(rules).await;
    let statuses = [running.post(FLUX, &body()).await.0, running.post(FLUX, &body()).await.0];
    assert_eq!(statuses, [201, 429]);
    let active = running.get("/_sim/faults").await;
    assert_eq!((active[0]["seen"].as_u64(), active[0]["fired"].as_u64()), (Some(2), Some(1)));
    running.send(Method::DELETE, "/_sim/faults", None).await;
    assert_eq!(running.get("/_sim/faults").await, json!([]));
    let (status, refused) = running.post("/_sim/faults", &json!({"fault": {"kind": "earthquake"}})).await;
    assert_eq!(status, 400, "{refused}");
}

#[tokio::test]
async fn a_strange_output_is_shown_as_asked() {
    let running = start().await;
    running.fault(json!({"fault": {"kind": "bad_output", "output": {"nothing": []}}})).await;
    let done = running.run(SLUG, json!({"prompt": "p"})).await;
    assert_eq!(done["output"], json!({"nothing": []}));
}
