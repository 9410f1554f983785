//! xAI's chat completions.

use crate::setup::start;
use reqwest::Method;
use serde_json::{Value, json};

const PATH: &str = "/xai/v1/chat/completions";

fn request() -> Value {
    json!({
        "model": "grok-4.3",
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": "Plan four scenes."},
            {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AA"}}
        ]}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "plan", "strict": true, "schema": {
            "type": "object", "required": ["scenes"], "properties": {"scenes": {"type": "array", "minItems": 4,
                "items": {"type": "object", "properties": {"prompt": {"type": "string"}}}}}
        }}}
    })
}

#[tokio::test]
async fn an_answer_fits_the_schema_and_is_billed() {
    let running = start().await;
    let (status, answer) = running.post(PATH, &request()).await;
    assert_eq!((status, answer["choices"][0]["finish_reason"].as_str()), (200, Some("stop")));
    let content = answer["choices"][0]["message"]["content"].as_str().unwrap();
    let plan: Value = serde_json::from_str(content).unwrap();
    assert_eq!(plan["scenes"].as_array().unwrap().len(), 4);
    assert_eq!(answer["usage"]["prompt_tokens_details"]["image_tokens"], 512);
    let again = running.post(PATH, &request()).await.1;
    assert_eq!(again["choices"], answer["choices"]);
    let charge = running.charge(answer["id"].as_str().unwrap()).await;
    assert_eq!((charge["unit"].as_str(), charge["model"].as_str()), (Some("token"), Some("grok-4.3")));
    assert!(charge["cost_micros"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn errors_have_xais_shape() {
    let running = start().await;
    let bare = running.http.post(running.url(PATH)).json(&request()).send().await.unwrap();
    assert_eq!(bare.status(), 400);
    let body: Value = bare.json().await.unwrap();
    assert!(body["error"].as_str().unwrap().starts_with("Incorrect API key"));
    let table = [("xai_rate_limit", 429), ("xai_billing", 429), ("xai_capacity", 429), ("xai_ok_error", 200)];
    for (kind, expected) in table {
        running.fault(json!({"fault": {"kind": kind}})).await;
        let (status, body) = running.post(PATH, &request()).await;
        assert_eq!(status, expected, "{kind}");
        assert!(body["code"].is_string() && body["error"].is_string(), "{body}");
    }
    let slow_and_broken =
        json!({"match": {"route": "xai"}, "fault": {"kind": "http_error", "status": 502, "when": "before"}});
    running.fault(slow_and_broken).await;
    assert_eq!(running.send(Method::POST, PATH, Some(&request())).await.status(), 502);
    assert_eq!(running.get("/_sim/charges").await, json!([]));
    assert_eq!(running.post(PATH, &json!({"model": "grok-4.3"})).await.0, 422);
}

#[tokio::test]
async fn answers_go_wrong_in_the_asked_way() {
    let running = start().await;
    running.fault(json!({"fault": {"kind": "xai_truncated"}})).await;
    let cut = running.post(PATH, &request()).await.1;
    assert_eq!(cut["choices"][0]["finish_reason"], "length");
    let content = cut["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(serde_json::from_str::<Value>(content).is_err());
    running.fault(json!({"fault": {"kind": "xai_refusal"}})).await;
    let refused = running.post(PATH, &request()).await.1;
    assert!(refused["choices"][0]["message"]["refusal"].is_string());
}
