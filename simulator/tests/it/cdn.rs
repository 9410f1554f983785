//! Outputs on the CDN's port: lengths, ranges, leaks, and broken downloads.

use crate::setup::{Running, start};
use reqwest::Method;
use serde_json::{Value, json};

async fn output(running: &Running) -> String {
    let done =
        running.run("black-forest-labs/flux-schnell", json!({"prompt": "p", "output_format": "png"})).await;
    done["output"][0].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn whole_parts_and_head() {
    let running = start().await;
    let url = output(&running).await;
    let whole = running.http.get(&url).send().await.unwrap();
    assert_eq!(whole.headers()["content-type"], "image/png");
    let etag = whole.headers()["etag"].clone();
    let length = whole.content_length().unwrap();
    let bytes = whole.bytes().await.unwrap();
    assert_eq!(length, bytes.len() as u64);
    let part = running.http.get(&url).header("range", "bytes=1-3").send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()["content-range"], format!("bytes 1-3/{length}").as_str());
    assert_eq!(&part.bytes().await.unwrap()[..], b"PNG");
    let outside = running.http.get(&url).header("range", "bytes=99999999-").send().await.unwrap();
    assert_eq!(outside.status(), 416);
    let head = running.http.request(Method::HEAD, &url).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], length.to_string().as_str());
    let unchanged = running.http.get(&url).header("if-none-match", etag).send().await.unwrap();
    assert_eq!(unchanged.status(), 304);
}

#[tokio::test]
async fn a_token_that_comes_along_is_a_leak() {
    let running = start().await;
    let url = output(&running).await;
    assert_eq!(running.get("/_sim/leaks").await, json!([]));
    running.http.get(&url).bearer_auth("r8_secret").send().await.unwrap();
    let leaks: Value = running.get("/_sim/leaks").await;
    assert!(url.ends_with(leaks[0]["path"].as_str().unwrap()));
    assert!(!leaks.to_string().contains("r8_secret"));
}

#[tokio::test]
async fn downloads_break_in_the_asked_way() {
    let running = start().await;
    let url = output(&running).await;
    let whole = running.http.get(&url).send().await.unwrap().bytes().await.unwrap();
    running.fault(json!({"fault": {"kind": "download_truncated", "percent": 60}})).await;
    let cut = running.http.get(&url).send().await.unwrap();
    assert_eq!(cut.content_length(), Some(whole.len() as u64));
    cut.bytes().await.expect_err("it broke off");
    running.fault(json!({"fault": {"kind": "download_truncated", "percent": 60, "short_file": true}})).await;
    let short = running.http.get(&url).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(short.len(), whole.len() * 60 / 100);
    running.fault(json!({"fault": {"kind": "download_html"}})).await;
    let page = running.http.get(&url).send().await.unwrap();
    assert_eq!(
        (page.status().as_u16(), page.headers()["content-type"].to_str().unwrap()),
        (200, "text/html")
    );
    running.fault(json!({"fault": {"kind": "download_error", "status": 503}})).await;
    assert_eq!(running.http.get(&url).send().await.unwrap().status(), 503);
    running.fault(json!({"fault": {"kind": "download_no_length"}})).await;
    let chunked = running.http.get(&url).send().await.unwrap();
    assert!(chunked.headers().get("content-length").is_none());
    assert_eq!(chunked.bytes().await.unwrap(), whole);
    running.fault(json!({"fault": {"kind": "download_empty"}})).await;
    assert!(running.http.get(&url).send().await.unwrap().bytes().await.unwrap().is_empty());
    running.fault(json!({"fault": {"kind": "output_expired"}})).await;
    assert_eq!(running.http.get(&url).send().await.unwrap().status(), 404);
    assert_eq!(running.http.get(&url).send().await.unwrap().bytes().await.unwrap(), whole);
}
