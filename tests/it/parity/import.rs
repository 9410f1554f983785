//! Item 16: an import keeps UUIDs and numbers, skips what is here, and counts. All else is tested in `shared/import/tests`.

use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;
use system_tests::job::photos;
use system_tests::system::{Options, System, command, program};

use super::{JOBS, PROPERTY, ask, id_of};

const CLIENT: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
const CAMPAIGN: &str = "6fa459ea-ee8a-3ca4-894e-db77e160355e";
const ASSET: &str = "16fd2706-8baf-433b-82eb-8c7fada847da";
const JOB: i64 = 41;

/// The older system's tables with a row each. Its arguments are the file to make and a photo.
const DATABASE: &str = r#"
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.executescript("""
    CREATE TABLE clients (id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT, homepage TEXT, metadata JSON,
        brand_guidelines TEXT, inserted_at TEXT NOT NULL, updated_at TEXT NOT NULL);
    CREATE TABLE campaigns (id TEXT PRIMARY KEY, name TEXT NOT NULL, brief TEXT, goal TEXT, status TEXT, product_url TEXT,
        metadata TEXT, client_id TEXT NOT NULL, inserted_at TEXT, updated_at TEXT);
    CREATE TABLE assets (id TEXT PRIMARY KEY, type TEXT NOT NULL, blob_data BLOB, metadata TEXT, source_url TEXT,
        description TEXT, name TEXT, tags TEXT, width INTEGER, height INTEGER, campaign_id TEXT, client_id TEXT,
        inserted_at TEXT, updated_at TEXT);
    CREATE TABLE jobs (id INTEGER PRIMARY KEY, type TEXT NOT NULL, status TEXT NOT NULL, parameters TEXT, storyboard TEXT,
        progress TEXT, result BLOB, audio_blob BLOB, video_name TEXT, estimated_cost FLOAT, inserted_at TEXT, updated_at TEXT);
    CREATE TABLE sub_jobs (id TEXT PRIMARY KEY, provider_id TEXT, status TEXT, video_blob BLOB, job_id INTEGER NOT NULL,
        inserted_at TEXT, updated_at TEXT);
""")
client, campaign, asset, job = sys.argv[3:7]
then = "2025-11-23T10:11:12"
db.execute("INSERT INTO clients VALUES (?, 'Alpine Lodges', NULL, NULL, '{}', NULL, ?, ?)", (client, then, then))
db.execute("INSERT INTO campaigns VALUES (?, 'Autumn', '{\"tone\": \"warm\"}', NULL, 'active', NULL, '{}', ?, ?, ?)",
    (campaign, client, then, then))
db.execute("INSERT INTO assets VALUES (?, 'image', ?, '{}', NULL, NULL, 'kitchen.jpg', '[\"kitchen\"]', 640, 480, ?, ?, ?, ?)",
    (asset, open(sys.argv[2], "rb").read(), campaign, client, then, then))
board = {"scenes": [{"title": "West", "description": "The west side", "duration": 4.0, "transition": "fade",
    "asset_ids": [asset, asset]}], "total_duration": 4.0}
db.execute("INSERT INTO jobs VALUES (?, 'image_pairs', 'failed', ?, ?, ?, NULL, NULL, 'Autumn 1', 1.6, ?, ?)",
    (int(job), json.dumps({"campaign_id": campaign, "client_id": client}), json.dumps(board),
     json.dumps({"percentage": 0, "stage": "failed", "error": "E6716"}), then, then))
db.commit()
"#;

#[tokio::test(flavor = "multi_thread")]
async fn item_16_import() {
    let system = System::start(&Options { cheap_media: true, ..Options::default() }).await;
    let file = system.dir.path().join("backend.db");
    let photo = &photos()[0];
    let mut make = command("python3");
    make.args(["-c", DATABASE]).arg(&file).arg(photo).args([CLIENT, CAMPAIGN, ASSET, &JOB.to_string()]);
    let made = make.output().await.expect("python3 runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    for (dry_run, count) in [(true, "carried"), (false, "carried"), (false, "already")] {
        let report = import(&system, &file, dry_run).await;
        for table in ["clients", "campaigns", "assets", "jobs"] {
            let tables = report["tables"].as_array().unwrap_or_else(|| panic!("no tables in {report}"));
            let found = tables.iter().find(|found| found["table"] == table);
            assert_eq!(found.unwrap_or_else(|| panic!("no {table} in {report}"))[count], 1, "{report}");
        }
    }

    let client = ask(&system, Method::GET, &format!("/api/v3/clients/{CLIENT}"), None, 200).await;
    assert_eq!(client["data"]["inserted_at"], "2025-11-23T10:11:12Z");
    let campaign = ask(&system, Method::GET, &format!("/api/v3/campaigns/{CAMPAIGN}"), None, 200).await;
    assert_eq!(
        (&campaign["data"]["clientId"], &campaign["data"]["brief"]),
        (&json!(CLIENT), &json!({"tone": "warm"}))
    );
    let bytes = system.request(Method::GET, &format!("/api/v3/assets/{ASSET}/data"), None).await;
    assert_eq!(bytes.bytes().await.expect("bytes"), std::fs::read(photo).expect("the photo"));
    let job = ask(&system, Method::GET, &format!("{JOBS}/{JOB}"), None, 200).await;
    assert_eq!((&job["status"], &job["video_name"]), (&json!("failed"), &json!("Autumn 1")));
    assert_eq!(job["storyboard"]["scenes"][0]["asset_ids"], json!([ASSET, ASSET]));

    // New numbers follow the old ones, and so do names.
    let wish = json!({"campaign_id": CAMPAIGN, "property_types": ["kitchen"]});
    let created = ask(&system, Method::POST, PROPERTY, Some(wish), 201).await;
    assert!(id_of(&created) > JOB && created["video_name"] == "Autumn 2", "{created}");
    system.stop().await;
}

async fn import(system: &System, file: &Path, dry_run: bool) -> Value {
    let mut import = command(program("spool"));
    import.args(["import", "elixir"]).arg(file).arg("--json").env("DATABASE_URL", &system.ready.database_url);
    import.env("SPOOL_MEDIA_URL", system.dir.path().join("media"));
    if dry_run {
        import.arg("--dry-run");
    }
    let output = import.output().await.expect("spool runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a report as JSON")
}
