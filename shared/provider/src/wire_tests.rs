//! Bodies as the service has been seen to send them.

use super::*;
use serde_json::json;

fn parse(value: Value) -> Prediction {
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_fresh_prediction() {
    let prediction = parse(json!({
        "id": "kr2d2jhqbsrj60cjb2vtmekgh4", "model": "google/veo-3.1-fast", "version": "hidden",
        "input": {"prompt": "p", "duration": 4}, "logs": "", "output": null, "data_removed": false, "error": null,
        "status": "starting", "source": "api", "created_at": "2026-11-21T03:00:00.000Z",
        "deadline": "2026-11-21T03:15:00Z",
        "urls": {"cancel": "https://api.replicate.com/v1/predictions/k/cancel",
                 "get": "https://api.replicate.com/v1/predictions/k", "web": "https://replicate.com/p/k"},
        "webhook": "https://app.example/h", "webhook_events_filter": ["start", "completed"]
    }));
    assert_eq!(prediction.status, PredictionStatus::Starting);
    assert!(prediction.output.is_none() && prediction.error_text().is_none());
    assert_eq!(prediction.webhook_events_filter, Some(vec![WebhookEvent::Start, WebhookEvent::Completed]));
    let again: Prediction = serde_json::from_str(&serde_json::to_string(&prediction).unwrap()).unwrap();
    assert_eq!(again, prediction);
}

#[test]
fn old_and_sparse_objects_are_read() {
    let prediction = parse(json!({
        "id": "x", "status": "starting", "created_at": "2023-10-05T12:26:51.123456789+00:00", "input": null,
        "metrics": null, "data_removed": null
    }));
    assert!(prediction.input.is_empty() && prediction.urls.get.is_empty());
    assert_eq!(prediction.created_at.timestamp_subsec_nanos(), 123_456_789);
}

#[test]
fn one_odd_metric_does_not_hide_the_rest() {
    let prediction = parse(json!({
        "id": "x", "status": "succeeded", "created_at": "2026-11-21T03:00:00Z", "output": "https://r/x.mp4",
        "metrics": {"predict_time": 61.25, "video_output_count": "one", "video_output_duration_seconds": 4,
                    "with_audio": true, "queue_time": 0.5},
        "completed_at": "yesterday"
    }));
    let metrics = prediction.metrics.clone().unwrap();
    assert_eq!(metrics.video_output_duration_seconds, Some(4.0));
    assert_eq!((metrics.video_output_count, metrics.with_audio), (None, Some(true)));
    assert_eq!(metrics.other["queue_time"], json!(0.5));
    assert!(prediction.completed_at.is_none());
    assert_eq!(prediction.output_urls(), ["https://r/x.mp4"]);
}

#[test]
fn unknown_statuses_are_not_final() {
    let prediction = parse(json!({"id": "x", "status": "queued", "created_at": "2026-11-21T03:00:00Z"}));
    assert_eq!(prediction.status, PredictionStatus::Unknown);
    assert!(!prediction.status.is_terminal());
    for status in ["succeeded", "failed", "canceled", "aborted"] {
        let status: PredictionStatus = serde_json::from_value(json!(status)).unwrap();
        assert!(status.is_terminal());
    }
}

#[test]
fn outputs_of_every_shape() {
    let with = |output: Value| {
        parse(
            json!({"id": "x", "status": "succeeded", "created_at": "2026-11-21T03:00:00Z", "output": output}),
        )
        .output_urls()
        .len()
    };
    assert_eq!(with(json!("https://a/b")), 1);
    assert_eq!(with(json!(["https://a/b", "https://a/c"])), 2);
    assert_eq!(with(json!({"video": "https://a/b", "note": "text"})), 1);
    assert_eq!(with(json!(["some", "words"])), 0);
    assert_eq!(with(Value::Null), 0);
}

#[test]
fn problems_of_every_kind() {
    let throttled = ProblemBody::parse(
        br#"{"detail":"Request was throttled. Your rate limit resets in ~5s.","status":429,"retry_after":5}"#,
    );
    assert_eq!((throttled.status, throttled.retry_after), (Some(429), Some(5.0)));
    assert_eq!(throttled.seconds_in_detail(), Some(5));
    let old = ProblemBody::parse(br#"{"detail":"Request was throttled. Expected available in 1 second."}"#);
    assert_eq!(old.seconds_in_detail(), Some(1));
    let invalid = ProblemBody::parse(
        br#"{"detail":"- input: prompt is required\n","status":422,"title":"Input validation failed",
            "invalid_fields":[{"type":"required","field":"input","description":"prompt is required"}]}"#,
    );
    assert_eq!(invalid.invalid_fields[0].kind, "required");
    let html = ProblemBody::parse(b"<html>502 Bad Gateway</html>\n");
    assert_eq!(html.detail.as_deref(), Some("<html>502 Bad Gateway</html>"));
    assert_eq!(ProblemBody::parse(b""), ProblemBody::default());
    assert_eq!(ProblemBody::parse(b"[1,2]").detail.as_deref(), Some("[1,2]"));
}

#[test]
fn pages_and_files() {
    let page: Page<Prediction> = serde_json::from_value(json!({
        "next": "https://api.replicate.com/v1/predictions?cursor=abc", "previous": null,
        "results": [{"id": "x", "status": "succeeded", "created_at": "2026-11-21T03:00:00Z"}]
    }))
    .unwrap();
    assert_eq!(page.results.len(), 1);
    let file: FileObject = serde_json::from_value(json!({
        "id": "f", "name": "a.jpg", "content_type": "image/jpeg", "size": 3, "etag": "e",
        "checksums": {"sha256": "aa", "md5": "bb"}, "metadata": {}, "created_at": "2026-11-21T03:00:00Z",
        "expires_at": "2026-11-22T03:00:00Z", "urls": {"get": "https://api.replicate.com/v1/files/f"}
    }))
    .unwrap();
    assert_eq!(file.checksums.sha256, "aa");
}

#[test]
fn the_webhook_secret_does_not_print() {
    let secret: WebhookSecret = serde_json::from_value(json!({"key": "whsec_AAAA"})).unwrap();
    assert!(!format!("{secret:?}").contains("AAAA"));
}
