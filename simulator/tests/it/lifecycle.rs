//! From starting to each of the four ends.

use crate::setup::{Friend, start, start_with};
use serde_json::json;

const VEO: &str = "google/veo-3.1-fast";

#[tokio::test]
async fn a_run_succeeds_with_metrics_and_output() {
    let running = start_with(|config| config.cheap_media = true).await;
    let created = running
        .create(VEO, json!({"prompt": "p", "duration": 4, "resolution": "720p", "generate_audio": false}))
        .await;
    assert_eq!((created["status"].as_str(), created["version"].as_str()), (Some("starting"), Some("hidden")));
    assert!(created["output"].is_null() && created.get("metrics").is_none());
    let done = running.ended(created["id"].as_str().unwrap()).await;
    assert_eq!(done["status"], "succeeded", "{done}");
    assert_eq!(done["metrics"]["video_output_duration_seconds"], 4.0);
    assert_eq!(done["metrics"]["with_audio"], false);
    assert_eq!(done["metrics"]["predict_time"], 61.2);
    assert!(done["output"].as_str().unwrap().starts_with(running.sim.cdn()));
}

#[tokio::test]
async fn a_deadline_before_the_start_aborts_free_of_charge() {
    let running = start().await;
    running.fault(json!({"fault": {"kind": "stuck_starting"}})).await;
    let request = running
        .http
        .post(running.url("/v1/models/google/veo-3.1-fast/predictions"))
        .bearer_auth("r8_x")
        .header("cancel-after", "5m")
        .json(&json!({"input": {"prompt": "p"}}));
    let created: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    assert!(created["deadline"].is_string());
    running.post("/_sim/clock/advance", &json!({"seconds": 301})).await;
    let id = created["id"].as_str().unwrap();
    assert_eq!(running.ended(id).await["status"], "aborted");
    assert_eq!(running.charge(id).await["cost_micros"], 0);
}

#[tokio::test]
async fn cancelling_before_the_start_is_free_and_after_it_is_not() {
    let running = start_with(|config| config.cheap_media = true).await;
    let input = json!({"prompt": "p", "duration": 4, "generate_audio": false});
    for (stuck, cost) in [("stuck_starting", 0), ("stuck_processing", 400_000)] {
        running.fault(json!({"fault": {"kind": stuck}})).await;
        let created = running.create(VEO, input.clone()).await;
        let id = created["id"].as_str().unwrap();
        if stuck == "stuck_processing" {
            running
                .until("processing", async || {
                    (running.get(&format!("/v1/predictions/{id}")).await["status"] == "processing")
                        .then_some(())
                })
                .await;
        }
        let (status, canceled) = running.post(&format!("/v1/predictions/{id}/cancel"), &json!({})).await;
        assert_eq!((status, canceled["status"].as_str()), (200, Some("canceled")));
        let charge = running.charge(id).await;
        assert_eq!(
            (charge["cost_micros"].as_u64(), charge["status"].as_str()),
            (Some(cost), Some("canceled"))
        );
        // Once more changes nothing.
        let (status, again) = running.post(&format!("/v1/predictions/{id}/cancel"), &json!({})).await;
        assert_eq!((status, &again), (200, &canceled));
    }
}

#[tokio::test]
async fn rules_across_inputs_fail_after_the_start() {
    let running = start().await;
    let done = running.run("minimax/hailuo-02", json!({"prompt": "p", "duration": 10})).await;
    assert_eq!(done["status"], "failed");
    assert!(done["error"].as_str().unwrap().contains("1080p"), "{done}");
    assert_eq!(running.charge(done["id"].as_str().unwrap()).await["cost_micros"], 0);
}

#[tokio::test]
async fn inputs_are_fetched_and_recorded() {
    let running = start_with(|config| config.cheap_media = true).await;
    let friend = Friend::start().await;
    let missing = friend.offer("here.jpg", vec![1, 2, 3]).replace("here", "missing");
    let done = running.run(VEO, json!({"prompt": "p", "image": missing})).await;
    assert_eq!(done["status"], "failed");
    assert!(done["error"].as_str().unwrap().contains("404"), "{done}");
    let fetches = running.get("/_sim/input-fetches").await;
    assert_eq!((fetches[0]["field"].as_str(), fetches[0]["ok"].as_bool()), (Some("image"), Some(false)));
    let done = running.run(VEO, json!({"prompt": "p", "image": "http://192.0.2.1/x.jpg"})).await;
    assert!(done["error"].as_str().unwrap().contains("not on this machine"), "{done}");
}

#[tokio::test]
async fn data_are_removed_after_an_hour() {
    let running = start().await;
    let done = running.run("black-forest-labs/flux-schnell", json!({"prompt": "p"})).await;
    let id = done["id"].as_str().unwrap();
    let url = done["output"][0].as_str().unwrap();
    assert_eq!(running.http.get(url).send().await.unwrap().status(), 200);
    running.post("/_sim/clock/advance", &json!({"seconds": 3601})).await;
    let removed = running.get(&format!("/v1/predictions/{id}")).await;
    assert_eq!((removed["data_removed"].as_bool(), &removed["output"]), (Some(true), &json!(null)));
    assert_eq!((removed["status"].as_str(), &removed["input"]), (Some("succeeded"), &json!({})));
    assert_eq!(running.http.get(url).send().await.unwrap().status(), 404);
}

/// Callers that are killed while they wait for the answer: the connection is gone, the runs go on.
#[tokio::test]
async fn a_caller_that_hangs_up_does_not_stop_what_it_began() {
    use tokio::io::AsyncWriteExt;
    const CALLERS: usize = 40;
    let running = start_with(|config| config.cheap_media = true).await;
    let body = json!({"input": {"prompt": "p", "duration": 4, "generate_audio": false}}).to_string();
    let request = format!(
        "POST /v1/models/{VEO}/predictions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer r8_x\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let address = running.sim.listening().trim_start_matches("http://").to_owned();
    for _ in 0..CALLERS {
        let mut caller = tokio::net::TcpStream::connect(&address).await.unwrap();
        caller.write_all(request.as_bytes()).await.unwrap();
    }
    // What arrived must end; what never arrived was never begun.
    running
        .until("every run to end", async || {
            let page = running.get("/v1/predictions").await;
            let runs = page["results"].as_array().unwrap().clone();
            let over = runs.iter().all(|run| run["status"] == "succeeded");
            (!runs.is_empty() && over).then_some(())
        })
        .await;
}
