//! The same order again costs nothing: the stored output is used, and every answer says where it comes from.

use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;
use system_tests::system::{Options, System};

/// Four clips and four stretches of music.
const OUTPUTS: usize = 8;

fn options() -> Options {
    Options { workers: 2, speed: 120.0, cheap_media: true, ..Options::default() }
}

async fn completed(system: &System, campaign: &str, more: Value) -> Value {
    let id = system.approved_job(campaign, more).await;
    let job = system.finished(id).await;
    assert_eq!(job["status"], "completed", "{job}");
    job
}

fn id(job: &Value) -> i64 {
    job["job_id"].as_i64().expect("a number")
}

/// Where each output of a job was bought, by our rows.
#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
async fn origins(system: &System, job_id: i64) -> Vec<(String, Option<String>)> {
    let pool = system.database().await;
    sqlx::query_as(
        "SELECT id::text, reused_from::text FROM predictions WHERE job_id = $1 AND state = 'succeeded' ORDER BY purpose, ordinal,
         (SELECT index FROM scenes WHERE id = scene_id)",
    )
    .bind(job_id)
    .fetch_all(&pool)
    .await
    .expect("rows")
}

/// How many events of a kind a job has.
#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
async fn events(system: &System, job_id: i64, kind: &str) -> i64 {
    let pool = system.database().await;
    sqlx::query_scalar(
        "SELECT count(*) FROM job_events WHERE job_id = $1 AND type = $2 AND data ? 'reused_from'",
    )
    .bind(job_id)
    .bind(kind)
    .fetch_one(&pool)
    .await
    .expect("a count")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_job_again_costs_nothing_unless_it_wants_to() {
    let system = System::start(&options()).await;
    let campaign = system.campaign().await;
    let first = completed(&system, &campaign, json!({"reuse": true})).await;
    system.ledgers_agree(id(&first), OUTPUTS).await;
    assert_eq!(first["costs"]["reused_outputs"], 0);
    assert_eq!(system.charges().await.len(), OUTPUTS);
    let spent = system.get("/api/v3/admin/budgets").await["data"][0]["settled"].clone();

    // Whatever costs nothing needs no leave to spend.
    system.post("/api/v3/admin/budgets/stop", json!({"why": "a test"})).await;
    let second = completed(&system, &campaign, json!({"parameters": {"reuse": true}, "reuse": null})).await;
    let lifted = system.request(Method::DELETE, "/api/v3/admin/budgets/stop", None).await;
    assert_eq!(lifted.status(), 204);
    assert_eq!(system.charges().await.len(), OUTPUTS, "nothing new was bought");
    assert_eq!(system.get("/api/v3/admin/budgets").await["data"][0]["settled"], spent);
    let costs = &second["costs"];
    assert_eq!((&costs["settled_micros"], &costs["reserved_micros"]), (&json!(0), &json!(0)));
    assert_eq!(costs["reused_outputs"], OUTPUTS);
    assert_eq!(costs["reused_micros"], first["costs"]["settled_micros"]);
    let bought = origins(&system, id(&first)).await;
    let reused = origins(&system, id(&second)).await;
    assert_eq!(bought.len(), OUTPUTS);
    assert!(bought.iter().all(|(_, from)| from.is_none()));
    let from: Vec<Option<String>> = reused.into_iter().map(|(_, from)| from).collect();
    assert_eq!(from, bought.iter().map(|(id, _)| Some(id.clone())).collect::<Vec<_>>());
    for scene in second["storyboard"]["scenes"].as_array().expect("scenes") {
        assert!(from.contains(&scene["reused_from"].as_str().map(str::to_owned)), "{scene}");
    }
    assert_eq!(events(&system, id(&second), "render_reused").await, 4);
    assert_eq!(events(&system, id(&second), "music_reused").await, 4);
    system.video(id(&second)).await;

    let third = completed(&system, &campaign, json!({"reuse": false})).await;
    system.ledgers_agree(id(&third), OUTPUTS).await;
    assert_eq!(system.charges().await.len(), 2 * OUTPUTS);
    system.nothing_else_was_bought().await;
    system.stop().await;
}

fn find(folder: &Path, name: &str) -> Option<std::path::PathBuf> {
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if let Some(found) = find(&path, name) {
                return Some(found);
            }
        } else if entry.file_name().to_string_lossy().contains(name) {
            return Some(path);
        }
    }
    None
}

#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
async fn clip_of(system: &System, job_id: i64) -> String {
    let pool = system.database().await;
    sqlx::query_scalar("SELECT output_digest FROM predictions WHERE job_id = $1 AND purpose = 'render'")
        .bind(job_id)
        .fetch_one(&pool)
        .await
        .expect("a digest")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_is_gone_or_broken_is_bought_anew() {
    let system = System::start(&options()).await;
    let campaign = system.campaign().await;
    let one = json!({"num_pairs": 1, "reuse": true, "parameters": {"music": false}});
    let mut job = completed(&system, &campaign, one.clone()).await;
    for (harm, bought) in [("gone", 2), ("broken", 3)] {
        let digest = clip_of(&system, id(&job)).await;
        // Under its whole digest, or in a folder of its first letters.
        let file = find(&system.dir.path().join("media"), &digest[8..]).expect("the clip's file");
        if harm == "gone" {
            std::fs::remove_file(&file).expect("it can be removed");
        } else {
            let mut bytes = std::fs::read(&file).expect("readable");
            let half = bytes.len() / 2;
            bytes[half..].fill(0);
            std::fs::remove_file(&file).expect("it can be replaced");
            std::fs::write(&file, bytes).expect("written");
        }
        job = completed(&system, &campaign, one.clone()).await;
        assert_eq!(system.charges().await.len(), bought, "{harm}");
        system.ledgers_agree(id(&job), 1).await;
    }
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_uses_an_output_again_it_buys_nothing() {
    let crash_dir = tempfile::tempdir().expect("a folder");
    let env = vec![
        ("SPOOL_CRASH_DIR", crash_dir.path().display().to_string()),
        ("SPOOL_LEASE_SECONDS", "2".into()),
    ];
    let system = System::start(&Options { env, ..options() }).await;
    let campaign = system.campaign().await;
    let pairs = json!({"num_pairs": 2, "reuse": true});
    completed(&system, &campaign, pairs.clone()).await;
    let charges = system.charges().await.len();
    assert_eq!(charges, 4);
    for point in ["MemoFound", "MemoRecorded"] {
        let armed = crash_dir.path().join(point);
        std::fs::write(&armed, "").expect("armed");
        let job = completed(&system, &campaign, pairs.clone()).await;
        assert!(!armed.exists(), "no worker passed {point}");
        assert_eq!(system.charges().await.len(), charges, "after a crash at {point}");
        assert_eq!(job["costs"]["reused_outputs"], 4, "each output once");
    }
    system.stop().await;
}
