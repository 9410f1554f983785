//! The document is good enough to generate a client from: it type-checks, strictly, and makes a film.

use serde_json::{Value, json};
use std::path::Path;
use system_tests::scripts::must_succeed;
use system_tests::system::{Options, System, command};

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_client_makes_a_film() {
    let system = System::start(&Options { cheap_media: true, speed: 120.0, ..Options::default() }).await;
    let work = tempfile::tempdir().expect("a folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/typescript-client.sh");
    let mut run = command(script);
    run.arg(work.path()).env("SPOOL_API", &system.ready.api).env("SPOOL_KEY", &system.ready.key);
    let said = must_succeed(run, "the TypeScript client").await;
    let film: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error} in {said}"));
    let job = system.get(&format!("/api/v3/jobs/{}", film["job_id"])).await;
    assert_eq!((&job["status"], &film["seconds"]), (&json!("completed"), &json!(8)), "{job}");
    system.nothing_else_was_bought().await;
    system.stop().await;
}
