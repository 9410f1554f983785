//! The newest Postgres that we claim, as npm has it: the whole system makes a job on it.

use serde_json::json;
use std::path::Path;
use system_tests::system::{Options, System, command};

/// The folder of its programs; none where npm has no such package.
async fn programs() -> Option<String> {
    if std::env::consts::OS != "linux" || std::env::consts::ARCH != "x86_64" {
        return None;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let output = command(root.join("scripts/postgres-18.sh")).output().await.expect("the script starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("a path").trim().to_owned())
}

#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
async fn version(system: &System) -> i32 {
    let pool = system.database().await;
    sqlx::query_scalar("SELECT current_setting('server_version_num')::int / 10000")
        .fetch_one(&pool)
        .await
        .expect("a version")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_made_on_postgres_18() {
    let Some(programs) = programs().await else { return };
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap_or_default());
    let options =
        Options { speed: 120.0, cheap_media: true, env: vec![("PATH", path)], ..Options::default() };
    let system = System::start(&options).await;
    assert_eq!(version(&system).await, 18);
    let campaign = system.campaign().await;
    let id = system.approved_job(&campaign, json!({})).await;
    let job = system.finished(id).await;
    assert_eq!(job["status"], "completed", "{job}");
    system.ledgers_agree(id, 8).await;
    system.stop().await;
}
