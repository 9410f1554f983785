//! `scenes.db` of the Python system in its three generations.

use crate::here::{id, jpeg, mp3, mp4};
use rusqlite::{Connection, params};
use serde_json::json;
use std::path::Path;

/// What all generations have.
const FIRST: &str = "
    CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, username TEXT UNIQUE, email TEXT, hashed_password TEXT, is_active INTEGER,
                        is_admin INTEGER, created_at TIMESTAMP, last_login TIMESTAMP);
    CREATE TABLE api_keys (id INTEGER PRIMARY KEY, key_hash TEXT UNIQUE, name TEXT, user_id INTEGER, is_active INTEGER, created_at TIMESTAMP,
                           last_used TIMESTAMP, expires_at TIMESTAMP);
    CREATE TABLE clients (id TEXT PRIMARY KEY, user_id TEXT, name TEXT, description TEXT, homepage TEXT, brand_guidelines TEXT, metadata TEXT,
                          created_at TIMESTAMP, updated_at TIMESTAMP);
    CREATE TABLE campaigns (id TEXT PRIMARY KEY, client_id TEXT, user_id TEXT, name TEXT, goal TEXT NOT NULL, status TEXT, product_url TEXT,
                            brief TEXT, metadata TEXT, created_at TIMESTAMP, updated_at TIMESTAMP);
    CREATE TABLE creative_briefs (id TEXT PRIMARY KEY, user_id TEXT, prompt_text TEXT, image_url TEXT, video_url TEXT, image_data BLOB,
                                  video_data BLOB, creative_direction TEXT NOT NULL, scenes TEXT NOT NULL, confidence_score REAL,
                                  created_at TIMESTAMP, updated_at TIMESTAMP);
    CREATE TABLE generated_scenes (id INTEGER PRIMARY KEY, prompt TEXT, scene_data TEXT, model TEXT, metadata TEXT, brief_id TEXT,
                                   created_at TIMESTAMP);
    CREATE TABLE generated_images (id INTEGER PRIMARY KEY, prompt TEXT, image_url TEXT, model_id TEXT, parameters TEXT, status TEXT,
                                   collection TEXT, metadata TEXT, download_attempted INTEGER, image_data BLOB, brief_id TEXT,
                                   client_id TEXT, campaign_id TEXT, created_at TIMESTAMP);
    CREATE TABLE generated_videos (id INTEGER PRIMARY KEY AUTOINCREMENT, prompt TEXT, video_url TEXT, model_id TEXT, parameters TEXT,
        status TEXT, collection TEXT, metadata TEXT, video_data BLOB, thumbnail_data BLOB, progress TEXT, storyboard_data TEXT,
        approved INTEGER DEFAULT 0, approved_at TIMESTAMP, estimated_cost REAL, actual_cost REAL, error_message TEXT, brief_id TEXT,
        client_id TEXT, campaign_id TEXT, download_count INTEGER, refinement_count INTEGER, format TEXT DEFAULT '16:9',
        duration INTEGER DEFAULT 30, views INTEGER DEFAULT 0, clicks INTEGER DEFAULT 0, ctr REAL DEFAULT 0, conversions INTEGER DEFAULT 0,
        created_at TIMESTAMP, updated_at TIMESTAMP);
    CREATE TABLE uploaded_assets (asset_id TEXT PRIMARY KEY, user_id INTEGER, filename TEXT, file_path TEXT, file_type TEXT,
                                  size_bytes INTEGER, uploaded_at TIMESTAMP);
    CREATE TABLE genesis_videos (id INTEGER PRIMARY KEY, scene_data TEXT, video_path TEXT, quality TEXT, created_at TIMESTAMP);";

/// Assets without bytes, for a client and for a campaign each.
const FIRST_ASSETS: &str = "
    CREATE TABLE client_assets (id TEXT PRIMARY KEY, client_id TEXT, name TEXT, url TEXT, asset_type TEXT, created_at TIMESTAMP);
    CREATE TABLE campaign_assets (id TEXT PRIMARY KEY, campaign_id TEXT, name TEXT, url TEXT, asset_type TEXT, created_at TIMESTAMP);";

const SECOND: &str = "
    CREATE TABLE asset_blobs (id TEXT PRIMARY KEY, data BLOB, content_type TEXT, size_bytes INTEGER, created_at TIMESTAMP);
    CREATE TABLE assets (id TEXT PRIMARY KEY, user_id TEXT, client_id TEXT, campaign_id TEXT, name TEXT, asset_type TEXT, url TEXT,
        format TEXT, size INTEGER, uploaded_at TIMESTAMP, tags TEXT, width INTEGER, height INTEGER, duration INTEGER, thumbnail_url TEXT,
        waveform_url TEXT, page_count INTEGER, blob_id TEXT, source_url TEXT, thumbnail_blob_id TEXT);";

const THIRD: &str = "
    ALTER TABLE assets ADD COLUMN blob_data BLOB;
    CREATE TABLE job_scenes (id TEXT PRIMARY KEY, job_id INTEGER, scene_number INTEGER, duration_seconds REAL, description TEXT, script TEXT,
        shot_type TEXT, transition TEXT, assets TEXT, metadata TEXT, created_at TIMESTAMP, updated_at TIMESTAMP);
    CREATE TABLE video_sub_jobs (id TEXT PRIMARY KEY, job_id INTEGER, sub_job_number INTEGER, image1_asset_id TEXT, image2_asset_id TEXT,
        replicate_prediction_id TEXT, model_id TEXT, input_parameters TEXT, status TEXT, progress REAL, video_url TEXT, video_blob_id TEXT,
        duration_seconds REAL, estimated_cost REAL, actual_cost REAL, error_message TEXT, retry_count INTEGER, started_at TIMESTAMP,
        completed_at TIMESTAMP, created_at TIMESTAMP, updated_at TIMESTAMP);
    CREATE TABLE generated_audio (id INTEGER PRIMARY KEY, prompt TEXT, audio_url TEXT, model_id TEXT, parameters TEXT, status TEXT,
        audio_data BLOB, duration REAL, client_id TEXT, campaign_id TEXT, created_at TIMESTAMP);";

const T: &str = "2025-11-15 09:00:00";

pub(crate) fn client() -> String {
    id(1, 1)
}
pub(crate) fn campaign() -> String {
    id(2, 1)
}
pub(crate) fn asset(n: u64) -> String {
    id(3, n)
}

/// The people, their clients and campaigns, a brief, and films of the first days.
pub(crate) fn first(path: &Path) -> Connection {
    let db = Connection::open(path).expect("a database");
    db.execute_batch(FIRST).expect("a schema");
    db.execute_batch(
        "INSERT INTO users (username, email, hashed_password) VALUES ('ada', 'a@example.com', '$2b$hash');
         INSERT INTO api_keys (key_hash, name, user_id) VALUES ('$2b$key', 'laptop', 1);
         INSERT INTO generated_scenes (prompt, scene_data) VALUES ('a ball', '{\"objects\": {}}');",
    )
    .expect("people");
    db.execute("INSERT INTO clients VALUES (?1, '1', 'Rentals', 'd', 'h', '{\"tone\":\"calm\"}', '{\"a\":1}', ?2, ?2)", params![client(), T])
        .expect("a client");
    db.execute("INSERT INTO clients VALUES ('acme', '1', '', NULL, NULL, NULL, NULL, ?1, ?1)", [T])
        .expect("a client");
    db.execute(
        "INSERT INTO campaigns VALUES (?1, ?2, '1', 'Lake', 'bookings', 'draft', 'https://example.com', '{\"objective\":\"x\"}', '{}', ?3, ?3)",
        params![campaign(), client(), T],
    )
    .expect("a campaign");
    db.execute("INSERT INTO campaigns VALUES ('lost', 'nobody', '1', 'Lost', 'g', 'draft', NULL, NULL, NULL, ?1, ?1)", [T]).expect("a campaign");
    db.execute(
        "INSERT INTO creative_briefs VALUES (?1, '1', 'a lake house', NULL, NULL, ?2, NULL, '{\"style\":\"warm\"}', '[{\"n\":1}]', 0.8, ?3, ?3)",
        params![id(5, 1), jpeg(501, 800), T],
    )
    .expect("a brief");
    // A film of one call, with how it did and what it cost.
    db.execute(
        "INSERT INTO generated_videos (id, prompt, video_url, model_id, parameters, status, metadata, video_data, thumbnail_data,
            estimated_cost, actual_cost, client_id, campaign_id, views, clicks, ctr, conversions, download_count, created_at, updated_at)
         VALUES (3, 'waves at dawn', 'https://replicate.delivery/x.mp4', 'veo3', '{\"duration\": 8}', 'completed',
                 '{\"replicate_id\": \"pred3\", \"odd\": true}', ?1, ?2, 1.5, 1.2, ?3, ?4, 100, 7, 0.07, 2, 9, ?5, ?5)",
        params![mp4(3, 40_000), jpeg(303, 900), client(), campaign(), T],
    )
    .expect("a film");
    db.execute(
        "INSERT INTO generated_videos (id, prompt, status, error_message, client_id, created_at) VALUES (4, 'smoke', 'timeout', 'took too long', 'ada', ?1)",
        [T],
    )
    .expect("a failed film");
    db
}

pub(crate) fn first_assets(db: &Connection) {
    db.execute_batch(FIRST_ASSETS).expect("tables of assets");
    db.execute(
        "INSERT INTO client_assets VALUES (?1, ?2, 'logo', '/data/uploads/logo.jpg', 'image', ?3)",
        params![asset(1), client(), T],
    )
    .expect("an asset");
    db.execute(
        "INSERT INTO campaign_assets VALUES (?1, ?2, 'pier', 'https://example.invalid/pier.jpg', 'image', ?3)",
        params![asset(2), campaign(), T],
    )
    .expect("an asset");
    db.execute("INSERT INTO uploaded_assets VALUES ('up1', 1, 'old.mp4', '/app/DATA/uploads/old.mp4', 'video', 5, ?1)", [T]).expect("an upload");
}

pub(crate) fn second(path: &Path) -> Connection {
    let db = first(path);
    db.execute_batch(SECOND).expect("a second schema");
    for n in 1..=3 {
        db.execute(
            "INSERT INTO asset_blobs VALUES (?1, ?2, 'image/jpeg', 1500, ?3)",
            params![format!("blob{n}"), jpeg(n, 1500), T],
        )
        .expect("a blob");
    }
    let insert = "INSERT INTO assets (id, user_id, client_id, campaign_id, name, asset_type, url, format, size, uploaded_at, tags, width, height,
                                      blob_id, source_url, thumbnail_blob_id)
                  VALUES (?1, '1', ?2, ?3, ?4, 'image', '/api/assets/x/data', 'jpg', 1500, ?5, ?6, 320, 200, ?7, ?8, ?9)";
    db.execute(
        insert,
        params![
            asset(1),
            client(),
            campaign(),
            "pier.jpg",
            T,
            "[\"pier\"]",
            "blob1",
            "https://example.com/p.jpg",
            "blob2"
        ],
    )
    .expect("an asset");
    // Two assets of one blob; only a client.
    db.execute(
        insert,
        params![
            asset(2),
            client(),
            None::<String>,
            "../../etc/again.jpg",
            T,
            "a, b",
            "blob1",
            None::<String>,
            None::<String>
        ],
    )
    .expect("an asset");
    // Nobody's.
    db.execute(
        insert,
        params![
            asset(3),
            None::<String>,
            None::<String>,
            "whose.jpg",
            T,
            None::<String>,
            "blob1",
            None::<String>,
            None::<String>
        ],
    )
    .expect("an asset");
    db
}

pub(crate) fn third(path: &Path) -> Connection {
    let db = second(path);
    db.execute_batch(THIRD).expect("a third schema");
    let insert = "INSERT INTO assets (id, client_id, campaign_id, name, asset_type, format, uploaded_at, blob_data) VALUES (?1, ?2, ?3, ?4, ?5, 'x', ?6, ?7)";
    for n in 10..14 {
        db.execute(
            insert,
            params![asset(n), client(), campaign(), format!("{n}.jpg"), "image", T, jpeg(n, 1200)],
        )
        .expect("an asset");
    }
    db.execute(
        insert,
        params![asset(14), client(), campaign(), "terms.pdf", "document", T, b"%PDF-1.7 terms".to_vec()],
    )
    .expect("a document");
    db.execute(
        "INSERT INTO generated_audio VALUES (1, 'calm', NULL, 'meta/musicgen', '{}', 'completed', ?1, 8.5, ?2, NULL, ?3)",
        params![mp3(1, 2_000), client(), T],
    )
    .expect("a sound");
    db.execute(
        "INSERT INTO generated_images (id, prompt, model_id, parameters, status, image_data, campaign_id, created_at)
         VALUES (1, 'a pier', 'flux', '{\"seed\":1}', 'completed', ?1, ?2, ?3)",
        params![jpeg(77, 1_100), campaign(), T],
    )
    .expect("a picture");
    pairs(&db);
    db
}

/// A job from pairs of photos: one clip stored, one lost, in the wrong order on purpose.
fn pairs(db: &Connection) {
    db.execute(
        "INSERT INTO generated_videos (id, status, parameters, model_id, video_data, campaign_id, client_id, actual_cost, created_at, updated_at)
         VALUES (20, 'completed', ?1, 'minimax/hailuo-02', ?2, ?3, ?4, 0.74, ?5, ?5)",
        params![json!({"video_name": "Lake film"}).to_string(), mp4(20, 30_000), campaign(), client(), T],
    )
    .expect("a job");
    db.execute(
        "INSERT INTO asset_blobs VALUES ('clip1', ?1, 'video/mp4', 7000, ?2)",
        params![mp4(21, 7_000), T],
    )
    .expect("a clip");
    for (n, number, blob, status, cost) in
        [(22, 2, None, "failed", 0.0), (21, 1, Some("clip1"), "completed", 0.37)]
    {
        db.execute(
            "INSERT INTO video_sub_jobs VALUES (?1, 20, ?2, ?3, ?4, ?5, 'minimax/hailuo-02', '{\"prompt\":\"go\"}', ?6, 1.0, NULL, ?7, 6.0, 0.37,
                                                ?8, 'why', 1, ?9, ?9, ?9, ?9)",
            params![id(6, n), number, asset(10), asset(11), format!("pred{n}"), status, blob, cost, T],
        )
        .expect("a clip");
        db.execute(
            "INSERT INTO job_scenes VALUES (?1, 20, ?2, 6.0, ?3, 'script', 'wide', 'fade', '[]', NULL, ?4, ?4)",
            params![id(7, n), number, format!("view {number}"), T],
        )
        .expect("a shot");
    }
}
