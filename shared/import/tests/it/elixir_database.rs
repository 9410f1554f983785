//! A database of the Elixir system as its migrations make it.

use crate::here::{id, jpeg, mp3, mp4};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::{Connection, params};
use serde_json::json;
use std::path::Path;

pub(crate) const SCHEMA: &str = "
    CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, inserted_at TEXT);
    INSERT INTO schema_migrations VALUES (20251120000001, '2025-11-20T00:00:00');
    CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT NOT NULL, email TEXT NOT NULL, password_hash TEXT, api_key_hash TEXT,
                        inserted_at TEXT, updated_at TEXT);
    CREATE TABLE clients (id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT, homepage TEXT, metadata JSON, brand_guidelines TEXT,
                          inserted_at TEXT NOT NULL, updated_at TEXT NOT NULL);
    CREATE TABLE campaigns (id TEXT PRIMARY KEY, name TEXT NOT NULL, brief TEXT, goal TEXT, status TEXT, product_url TEXT, metadata TEXT,
                            client_id TEXT NOT NULL REFERENCES clients(id) ON DELETE CASCADE, inserted_at TEXT, updated_at TEXT);
    CREATE TABLE assets (id TEXT PRIMARY KEY, type TEXT NOT NULL, blob_data BLOB, metadata TEXT, source_url TEXT, description TEXT,
                         name TEXT, tags TEXT, width INTEGER, height INTEGER, campaign_id TEXT REFERENCES campaigns(id) ON DELETE CASCADE,
                         client_id TEXT REFERENCES clients(id) ON DELETE CASCADE, inserted_at TEXT, updated_at TEXT);
    CREATE TABLE jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'pending', parameters TEXT,
                       storyboard TEXT, progress TEXT, result BLOB, audio_blob BLOB, video_name TEXT, estimated_cost FLOAT,
                       inserted_at TEXT, updated_at TEXT);
    CREATE TABLE sub_jobs (id TEXT PRIMARY KEY, provider_id TEXT, status TEXT, video_blob BLOB, job_id INTEGER NOT NULL, inserted_at TEXT,
                           updated_at TEXT);";

pub(crate) const T1: &str = "2025-11-23T10:11:12";
pub(crate) const T2: &str = "2025-11-24 11:12:13";

pub(crate) fn client(n: u64) -> String {
    id(1, n)
}
pub(crate) fn campaign(n: u64) -> String {
    id(2, n)
}
pub(crate) fn asset(n: u64) -> String {
    id(3, n)
}
pub(crate) fn clip(n: u64) -> String {
    id(4, n)
}

pub(crate) fn photo(n: u64) -> Vec<u8> {
    jpeg(n, 2_000)
}

/// Two clients, four campaigns, twelve photos, a song, and jobs in each state.
pub(crate) fn make(path: &Path) -> Connection {
    let db = Connection::open(path).expect("a database");
    db.execute_batch(SCHEMA).expect("a schema");
    for n in 0..2 {
        db.execute(
            "INSERT INTO clients VALUES (?1, ?2, 'who', 'https://example.com', '{\"tier\": 1}', 'blue', ?3, ?4)",
            params![client(n), format!("Client {n}"), T1, T2],
        )
        .expect("a client");
    }
    for n in 0..4 {
        let brief = if n == 0 { json!({"audience": "families"}).to_string() } else { format!("brief {n}") };
        db.execute(
            "INSERT INTO campaigns VALUES (?1, ?2, ?3, 'sell', 'active', 'https://example.com/p', '{\"k\": 2}', ?4, ?5, ?6)",
            params![campaign(n), format!("Campaign {n}"), brief, client(n / 2), T1, T2],
        )
        .expect("a campaign");
    }
    for n in 0..12 {
        db.execute(
            "INSERT INTO assets VALUES (?1, 'image', ?2, ?3, 'https://example.com/a.jpg', 'a room', ?4, '[\"kitchen\", \"day\"]', 640, 480,
                                        ?5, ?6, ?7, ?8)",
            params![asset(n), photo(n), json!({"original_name": "x.jpg"}).to_string(), format!("photo {n}.jpg"), campaign(n % 4),
                    client((n % 4) / 2), T1, T2],
        )
        .expect("an asset");
    }
    db.execute(
        "INSERT INTO assets (id, type, blob_data, client_id, metadata, inserted_at, updated_at) VALUES (?1, 'audio', ?2, ?3, '{}', ?4, ?4)",
        params![asset(50), mp3(50, 900), client(1), T1],
    )
    .expect("a song");
    jobs(&db);
    db.execute(
        "INSERT INTO users (id, username, email, password_hash, api_key_hash) VALUES (1, 'ada', 'ada@example.com', '$2b$x', '$2b$y')",
        [],
    )
    .expect("a user");
    db
}

fn storyboard(photos: &[u64]) -> String {
    let scenes = photos.iter().map(|n| {
        json!({"title": format!("Shot {n}"), "description": format!("Look {n}"), "duration": 4.0, "transition": "fade",
               "asset_ids": [asset(*n), asset(n + 4)]})
    });
    json!({"scenes": scenes.collect::<Vec<_>>(), "total_duration": photos.len() as f64 * 4.0}).to_string()
}

pub(crate) fn job(
    db: &Connection,
    number: i64,
    status: &str,
    progress: &serde_json::Value,
    result: Option<Vec<u8>>,
) {
    let parameters = json!({"campaign_id": campaign(0), "client_id": client(0), "clip_duration": 4, "video_model": "veo3", "odd": [1]});
    db.execute(
        "INSERT INTO jobs VALUES (?1, 'image_pairs', ?2, ?3, ?4, ?5, ?6, NULL, ?7, 3.2, ?8, ?9)",
        params![
            number,
            status,
            parameters.to_string(),
            storyboard(&[0, 4]),
            progress.to_string(),
            result,
            format!("Campaign 0 {number}"),
            T1,
            T2
        ],
    )
    .expect("a job");
}

pub(crate) fn sub_job(db: &Connection, n: u64, job: i64, status: &str, video: Option<Vec<u8>>) {
    db.execute(
        "INSERT INTO sub_jobs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        params![clip(n), format!("replicate{n}"), status, video, job, T1],
    )
    .expect("a sub-job");
}

fn jobs(db: &Connection) {
    let thumbnail = STANDARD.encode(jpeg(900, 700));
    job(
        db,
        6,
        "completed",
        &json!({"percentage": 100, "stage": "completed", "thumbnail": thumbnail}),
        Some(mp4(6, 50_000)),
    );
    db.execute("UPDATE jobs SET audio_blob = ?1 WHERE id = 6", params![mp3(60, 3_000)]).expect("music");
    // Written in the same second: only their order in the table tells them apart.
    sub_job(db, 61, 6, "completed", Some(mp4(61, 9_000)));
    sub_job(db, 60, 6, "completed", Some(mp4(60, 9_000)));
    job(db, 7, "pending", &json!({"percentage": 0, "stage": "storyboard_ready"}), None);
    sub_job(db, 70, 7, "pending", None);
    sub_job(db, 71, 7, "pending", None);
    job(db, 8, "processing", &json!({"percentage": 40, "stage": "starting_render"}), None);
    sub_job(db, 80, 8, "completed", Some(mp4(80, 9_000)));
    sub_job(db, 81, 8, "processing", None);
    job(db, 9, "failed", &json!({"percentage": 0, "stage": "failed", "error": "E6716"}), None);
    // The bug of theirs that wrote a sentence over the film.
    job(db, 5, "completed", &json!({"percentage": 100}), None);
    db.execute("UPDATE jobs SET result = 'all_renders_completed' WHERE id = 5", []).expect("a sentence");
    // Its job is gone.
    sub_job(db, 99, 4711, "completed", Some(mp4(99, 5_000)));
}
