//! What the API says to requests, before anything runs.

use crate::setup::start;
use reqwest::Method;
use serde_json::{Value, json};

const VEO: &str = "/v1/models/google/veo-3.1-fast/predictions";
const MUSICGEN: &str = "671ac645ce5e552cc63a54a2bbff63fcf798043055d2dac5fc9e36a837eedcfb";

#[tokio::test]
async fn a_token_is_needed_by_either_scheme() {
    let running = start().await;
    let url = running.url("/v1/account");
    let bare = running.http.get(&url).send().await.unwrap();
    assert_eq!(bare.status(), 401);
    assert_eq!(bare.headers()["content-type"], "application/problem+json");
    let body: Value = bare.json().await.unwrap();
    assert_eq!((body["title"].as_str(), body["status"].as_u64()), (Some("Unauthenticated"), Some(401)));
    for scheme in ["Bearer", "Token"] {
        let request = running.http.get(&url).header("authorization", format!("{scheme} r8_x"));
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn bad_inputs_get_a_422_with_every_complaint() {
    let running = start().await;
    let (status, body) = running.post(VEO, &json!({"input": {"aspect_ratio": "1:1", "fps": 30}})).await;
    assert_eq!(status, 422);
    assert_eq!(body["title"], "Input validation failed");
    let kinds: Vec<&str> =
        body["invalid_fields"].as_array().unwrap().iter().map(|it| it["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["required", "enum", "additional_property_not_allowed"]);
    assert!(body["detail"].as_str().unwrap().starts_with("- input: prompt is required\n"));
    let (status, body) = running.post(VEO, &json!({"input": {"prompt": "p"}, "metadata": {}})).await;
    assert_eq!(
        (status, body["invalid_fields"][0]["type"].as_str()),
        (422, Some("additional_property_not_allowed"))
    );
    assert_eq!(running.get("/_sim/charges").await, json!([]));
}

#[tokio::test]
async fn broken_json_is_a_400() {
    let running = start().await;
    let request = running.http.post(running.url(VEO)).bearer_auth("r8_x").body("{\"input\":");
    assert_eq!(request.send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn community_models_go_by_version_only() {
    let running = start().await;
    let body = json!({"input": {"duration": 1}});
    assert_eq!(running.post("/v1/models/meta/musicgen/predictions", &body).await.0, 404);
    for version in [MUSICGEN.to_owned(), format!("meta/musicgen:{MUSICGEN}")] {
        let (status, created) =
            running.post("/v1/predictions", &json!({"version": version, "input": {"duration": 1}})).await;
        assert_eq!((status, created["version"].as_str()), (201, Some(MUSICGEN)));
    }
    let (status, refused) =
        running.post("/v1/predictions", &json!({"version": "meta/musicgen", "input": {}})).await;
    assert_eq!((status, refused["title"].as_str()), (422, Some("Invalid version or not permitted")));
    let official = json!({"version": "google/veo-3.1-fast", "input": {"prompt": "p", "duration": 4}});
    let (status, created) = running.post("/v1/predictions", &official).await;
    assert_eq!((status, created["version"].as_str()), (201, Some("hidden")));
}

#[tokio::test]
async fn prefer_wait_holds_the_answer_and_says_so() {
    let running = start().await;
    let request = running
        .http
        .post(running.url("/v1/models/black-forest-labs/flux-schnell/predictions"))
        .header("authorization", "Token r8_x")
        .header("prefer", "wait=60")
        .json(&json!({"input": {"prompt": "p"}}));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["preference-applied"], "wait=60");
    assert!(response.headers().contains_key("ratelimit-remaining"));
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"], "succeeded");
    assert_eq!(body["urls"]["get"], location.as_str());
}

#[tokio::test]
async fn models_show_their_schema() {
    let running = start().await;
    let model = running.get("/v1/models/google/veo-3.1-fast").await;
    let properties =
        &model["latest_version"]["openapi_schema"]["components"]["schemas"]["Input"]["properties"];
    assert_eq!(properties["duration"]["enum"], json!([4, 6, 8]));
    let version = running.get(&format!("/v1/models/meta/musicgen/versions/{MUSICGEN}")).await;
    assert_eq!(version["id"], MUSICGEN);
    assert!(running.get("/v1/hardware").await.is_array());
    assert_eq!(running.send(Method::GET, "/v1/models/no/body", None).await.status(), 404);
}

#[tokio::test]
async fn uploads_are_kept_for_a_day() {
    let running = start().await;
    let part =
        reqwest::multipart::Part::bytes(b"hello".to_vec()).file_name("a.txt").mime_str("text/plain").unwrap();
    let form = reqwest::multipart::Form::new().part("content", part).text("metadata", r#"{"k":1}"#);
    let request = running.http.post(running.url("/v1/files")).bearer_auth("r8_x").multipart(form);
    let file: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!((file["size"].as_u64(), file["metadata"]["k"].as_u64()), (Some(5), Some(1)));
    assert_eq!(
        file["checksums"]["sha256"],
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    );
    let path = format!("/v1/files/{}", file["id"].as_str().unwrap());
    assert_eq!(running.get(&path).await["name"], "a.txt");
    running.post("/_sim/clock/advance", &json!({"seconds": 24 * 3600})).await;
    assert_eq!(running.send(Method::GET, &path, None).await.status(), 404);
    assert_eq!(running.get("/v1/files").await["results"], json!([]));
}
