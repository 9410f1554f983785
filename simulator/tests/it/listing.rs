//! Lists: a hundred a page, newest first, opaque cursors, time windows, lag.

use crate::setup::{Running, start};
use reqwest::Method;
use serde_json::{Value, json};

async fn ids(running: &Running, path: &str) -> (Vec<String>, usize) {
    let mut next = Some(path.to_owned());
    let mut ids = Vec::new();
    let mut pages = 0;
    while let Some(url) = next {
        let page = running.get(&url).await;
        let rows = page["results"].as_array().unwrap();
        assert!(rows.len() <= 100);
        ids.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        next = page["next"].as_str().map(str::to_owned);
        pages += 1;
    }
    (ids, pages)
}

#[tokio::test]
async fn every_prediction_is_on_exactly_one_page() {
    let running = start().await;
    running.fault(json!({"fault": {"kind": "stuck_starting"}, "times": "always"})).await;
    running.post("/_sim/predictions/foreign", &json!({"count": 150})).await;
    let mut mine = Vec::new();
    for _ in 0..100 {
        let created = running.create("google/veo-3.1-fast", json!({"prompt": "p"})).await;
        mine.push(created["id"].as_str().unwrap().to_owned());
    }
    let (seen, pages) = ids(&running, "/v1/predictions").await;
    assert_eq!((seen.len(), pages), (250, 3));
    mine.reverse();
    assert_eq!(seen[..100], mine);
    let first = running.get("/v1/predictions").await;
    assert!(first["previous"].is_null());
    let second = running.get(first["next"].as_str().unwrap()).await;
    assert_eq!(running.get(second["previous"].as_str().unwrap()).await["results"], first["results"]);
    assert_eq!(second["results"][0]["source"], "web");
    assert!(first["results"][0].get("logs").is_none() && first["results"][0]["input"]["prompt"] == "p");
}

#[tokio::test]
async fn a_window_includes_its_start_and_not_its_end() {
    let running = start().await;
    let mut times: Vec<String> = Vec::new();
    for _ in 0..3 {
        let created = running.run("black-forest-labs/flux-schnell", json!({"prompt": "p"})).await;
        times.push(created["created_at"].as_str().unwrap().to_owned());
    }
    let window = format!("/v1/predictions?created_after={}&created_before={}", times[0], times[2]);
    assert_eq!(ids(&running, &window).await.0.len(), 2);
    let response = running.send(Method::GET, "/v1/predictions?created_after=yesterday", None).await;
    assert_eq!(response.status(), 400);
}

#[tokio::test]
async fn lag_hides_the_newest_for_a_while() {
    let running = start().await;
    running.fault(json!({"fault": {"kind": "list_lag", "seconds": 60}})).await;
    let done = running.run("black-forest-labs/flux-schnell", json!({"prompt": "p"})).await;
    assert_eq!(running.get("/v1/predictions").await["results"], json!([]));
    running.post("/_sim/clock/advance", &json!({"seconds": 61})).await;
    assert_eq!(running.get("/v1/predictions").await["results"][0]["id"], done["id"]);
    let hide =
        json!({"match": {"model": "black-forest-labs/flux-schnell"}, "fault": {"kind": "list_hidden"}});
    running.fault(hide).await;
    let empty: Value = running.get("/v1/predictions").await;
    assert_eq!(empty["results"], json!([]));
}
