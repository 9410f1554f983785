//! The ledger of charges: complete, durable, and with digests of what was really fetched.

use crate::setup::{Friend, photo, start, start_with};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use spool_simulator::Config;
use std::fmt::Write as _;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[tokio::test]
async fn the_digest_is_of_the_bytes_and_not_of_the_urls() {
    let running = start_with(|config| config.cheap_media = true).await;
    let friend = Friend::start().await;
    let picture = photo("meadow-view");
    let one = friend.offer("one.jpg", picture.clone());
    let other = friend.offer("other.jpg", picture.clone());
    let input = |image: &str| json!({"prompt": "p", "image": image, "duration": 4, "generate_audio": false});
    let first = running.run("google/veo-3.1-fast", input(&one)).await;
    let second = running.run("google/veo-3.1-fast", input(&other)).await;
    let sha = hex(&Sha256::digest(&picture));
    let canonical = format!(r#"{{"duration":4,"generate_audio":false,"image":"{sha}","prompt":"p"}}"#);
    for done in [first, second] {
        let charge = running.charge(done["id"].as_str().unwrap()).await;
        assert_eq!(charge["input_digest"], hex(&Sha256::digest(canonical.as_bytes())).as_str());
        assert_eq!((charge["units"].as_u64(), charge["unit"].as_str()), (Some(4), Some("second")));
        assert_eq!(
            (charge["cost_micros"].as_u64(), charge["status"].as_str()),
            (Some(400_000), Some("succeeded"))
        );
    }
}

#[tokio::test]
async fn a_row_is_on_disk_before_the_answer() {
    let running = start().await;
    running.fault(json!({"fault": {"kind": "stuck_starting"}})).await;
    let created = running.create("google/veo-3.1", json!({"prompt": "p"})).await;
    let text = std::fs::read_to_string(running.data("charges.jsonl")).unwrap();
    let row: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((&row["prediction_id"], row["status"].as_str()), (&created["id"], Some("starting")));
    assert_eq!(row["cost_micros"], 0);
}

#[tokio::test]
async fn a_restart_forgets_nothing_and_goes_on() {
    let slow = |config: &mut Config| {
        config.speed = 0.001;
        config.creates_per_minute = Some(600);
        config.reads_per_minute = Some(60_000);
    };
    let running = start_with(slow).await;
    let secret = running.get("/v1/webhooks/default/secret").await;
    let input = json!({"prompt": "p", "output_format": "jpg"});
    let created = running.create("black-forest-labs/flux-schnell", input).await;
    let id = created["id"].as_str().unwrap().to_owned();
    let running = running.restart(|_| {}).await;
    assert_eq!(running.get(&format!("/v1/predictions/{id}")).await["status"], "starting");
    assert_eq!(running.get("/v1/webhooks/default/secret").await, secret);
    running.post("/_sim/clock/advance", &json!({"seconds": 1_000_000})).await;
    let done = running.ended(&id).await;
    assert_eq!(done["status"], "succeeded");
    let url = done["output"][0].as_str().unwrap().to_owned();
    let charge = running.charge(&id).await;
    assert_eq!(charge["cost_micros"], 3000);
    let before = running.http.get(&url).send().await.unwrap().bytes().await.unwrap();
    let running = running.restart(|_| {}).await;
    assert_eq!(running.charge(&id).await, charge);
    let done = running.get(&format!("/v1/predictions/{id}")).await;
    let url = done["output"][0].as_str().unwrap();
    assert_eq!(running.http.get(url).send().await.unwrap().bytes().await.unwrap(), before);
}

#[tokio::test]
async fn many_purchases_at_once_are_all_there() {
    let running = start().await;
    running.fault(json!({"fault": {"kind": "stuck_starting"}, "times": "always"})).await;
    let creating = (0..200).map(|_| running.create("google/veo-3.1-fast", json!({"prompt": "p"})));
    let created = futures::future::join_all(creating).await;
    let charges = running.get("/_sim/charges").await;
    assert_eq!(charges.as_array().unwrap().len(), created.len());
    running.post("/_sim/reset", &json!({})).await;
    assert_eq!(running.get("/_sim/charges").await, json!([]));
    assert_eq!(running.get("/v1/predictions").await["results"], json!([]));
}

#[tokio::test]
async fn music_is_billed_by_its_time() {
    let running = start_with(|config| config.cheap_media = true).await;
    let version = "671ac645ce5e552cc63a54a2bbff63fcf798043055d2dac5fc9e36a837eedcfb";
    let body =
        json!({"version": version, "input": {"prompt": "calm", "duration": 3, "output_format": "mp3"}});
    let (_, created) = running.post("/v1/predictions", &body).await;
    let id = created["id"].as_str().unwrap();
    let done = running.ended(id).await;
    assert_eq!(done["metrics"]["predict_time"], 24.75, "{done}");
    let charge = running.charge(id).await;
    assert_eq!((charge["units"].as_f64(), charge["cost_micros"].as_u64()), (Some(24.75), Some(34_650)));
}
