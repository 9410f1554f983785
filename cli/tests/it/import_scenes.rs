//! `spool import scenes` the same way: half of the photos lie in the rows of the assets, half in the table of blobs.

use rusqlite::{Connection, params};
use serde_json::json;
use sqlx::PgPool;
use std::path::Path;

use crate::import::{
    CAMPAIGNS, CLIENTS, CLIP_BYTES, FILM_BYTES, PHOTOS, film, id, import, is_there, no_more_memory, photo,
    value,
};

/// The third generation, as far as it is needed.
const SCHEMA: &str = "
    CREATE TABLE clients (id TEXT PRIMARY KEY, user_id TEXT, name TEXT, created_at TIMESTAMP, updated_at TIMESTAMP);
    CREATE TABLE campaigns (id TEXT PRIMARY KEY, client_id TEXT, user_id TEXT, name TEXT, goal TEXT NOT NULL, created_at TIMESTAMP,
                            updated_at TIMESTAMP);
    CREATE TABLE asset_blobs (id TEXT PRIMARY KEY, data BLOB, content_type TEXT, size_bytes INTEGER, created_at TIMESTAMP);
    CREATE TABLE assets (id TEXT PRIMARY KEY, user_id TEXT, client_id TEXT, campaign_id TEXT, name TEXT, asset_type TEXT, url TEXT,
        format TEXT, size INTEGER, uploaded_at TIMESTAMP, tags TEXT, width INTEGER, height INTEGER, duration INTEGER, blob_id TEXT,
        source_url TEXT, blob_data BLOB);
    CREATE TABLE generated_videos (id INTEGER PRIMARY KEY AUTOINCREMENT, prompt TEXT, video_url TEXT, model_id TEXT, parameters TEXT,
        status TEXT, metadata TEXT, video_data BLOB, actual_cost REAL, client_id TEXT, campaign_id TEXT, views INTEGER DEFAULT 0,
        created_at TIMESTAMP, updated_at TIMESTAMP);
    CREATE TABLE job_scenes (id TEXT PRIMARY KEY, job_id INTEGER, scene_number INTEGER, duration_seconds REAL, description TEXT,
        created_at TIMESTAMP, updated_at TIMESTAMP);
    CREATE TABLE video_sub_jobs (id TEXT PRIMARY KEY, job_id INTEGER, sub_job_number INTEGER, image1_asset_id TEXT, image2_asset_id TEXT,
        replicate_prediction_id TEXT, model_id TEXT, status TEXT, video_blob_id TEXT, duration_seconds REAL, actual_cost REAL,
        created_at TIMESTAMP, updated_at TIMESTAMP);
    PRAGMA synchronous = OFF; BEGIN;";
const TIME: &str = "2025-11-15 09:00:00";

fn make(path: &Path, photos: u64, films: u64) {
    let db = Connection::open(path).expect("a database");
    db.execute_batch(SCHEMA).expect("a schema");
    for n in 0..CLIENTS {
        let values = params![id(1, n), format!("Client {n}"), TIME];
        db.execute("INSERT INTO clients VALUES (?1, '1', ?2, ?3, ?3)", values).expect("a client");
    }
    for n in 0..CAMPAIGNS {
        let values = params![id(2, n), id(1, n % CLIENTS), format!("Campaign {n}"), TIME];
        db.execute("INSERT INTO campaigns VALUES (?1, ?2, '1', ?3, 'bookings', ?4, ?4)", values)
            .expect("a campaign");
    }
    for n in 0..photos {
        let campaign = n % CAMPAIGNS;
        let (blob, data) =
            if n % 2 == 0 { (None, Some(photo(n))) } else { (Some(format!("photo{n}")), None) };
        if let Some(blob) = &blob {
            let values = params![blob, photo(n), TIME];
            db.execute("INSERT INTO asset_blobs VALUES (?1, ?2, 'image/jpeg', 1, ?3)", values)
                .expect("a blob");
        }
        let values = params![
            id(3, n),
            id(1, campaign % CLIENTS),
            id(2, campaign),
            format!("{n}.jpg"),
            TIME,
            blob,
            data
        ];
        db.execute(
            "INSERT INTO assets (id, client_id, campaign_id, name, asset_type, uploaded_at, blob_id, blob_data)
             VALUES (?1, ?2, ?3, ?4, 'image', ?5, ?6, ?7)",
            values,
        )
        .expect("an asset");
    }
    for n in 1..=films {
        db.execute(
            "INSERT INTO generated_videos (id, prompt, status, parameters, model_id, video_data, campaign_id, client_id, actual_cost, created_at, updated_at)
             VALUES (?1, 'a lake', 'completed', '{\"video_name\": \"Film\"}', 'minimax/hailuo-02', ?2, ?3, ?4, 0.74, ?5, ?5)",
            params![n as i64, film(n, FILM_BYTES), id(2, 0), id(1, 0), TIME],
        )
        .expect("a film");
        for k in 0..2 {
            let clip = n * 10 + k;
            let blob = format!("clip{clip}");
            db.execute(
                "INSERT INTO asset_blobs VALUES (?1, ?2, 'video/mp4', 1, ?3)",
                params![blob, film(clip, CLIP_BYTES), TIME],
            )
            .expect("a blob");
            db.execute(
                "INSERT INTO video_sub_jobs VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'minimax/hailuo-02', 'completed', ?7, 6.0, 0.37, ?8, ?8)",
                params![id(4, clip), n as i64, k as i64 + 1, id(3, 0), id(3, 4), format!("pred{clip}"), blob, TIME],
            )
            .expect("a clip");
            db.execute(
                "INSERT INTO job_scenes VALUES (?1, ?2, ?3, 6.0, 'view', ?4, ?4)",
                params![id(5, clip), n as i64, k as i64 + 1, TIME],
            )
            .expect("a scene");
        }
    }
    db.execute_batch("COMMIT").expect("written");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_scenes_database_of_the_documented_size_arrives_in_constant_memory(pool: PgPool) {
    let folder = tempfile::tempdir().expect("a folder");
    let (small, large, media) =
        (folder.path().join("small.db"), folder.path().join("large.db"), folder.path().join("media"));
    make(&small, 1, 0);
    let least = import("scenes", &small, &pool, &media).await;
    make(&large, PHOTOS, 2);
    let report = import("scenes", &large, &pool, &media).await;
    let rows = |name: &str| {
        let tables = report["tables"].as_array().expect("tables");
        tables.iter().find(|table| table["table"] == name).map(|table| table["rows"].clone())
    };
    for (table, count) in [
        ("clients", CLIENTS),
        ("campaigns", CAMPAIGNS),
        ("assets", PHOTOS),
        ("generated_videos", 2),
        ("video_sub_jobs", 4),
    ] {
        assert_eq!(rows(table), Some(json!(count)), "{table}: {report}");
    }
    for n in 0..PHOTOS {
        let sql =
            format!("SELECT digest, name, campaign_id, client_id FROM assets WHERE id = '{}'", id(3, n));
        let row = value(&pool, sql).await;
        assert_eq!(
            (&row["name"], &row["campaign_id"], &row["client_id"]),
            (
                &json!(format!("{n}.jpg")),
                &json!(id(2, n % CAMPAIGNS)),
                &json!(id(1, n % CAMPAIGNS % CLIENTS))
            )
        );
        is_there(&media, &row["digest"], &photo(n));
    }
    for n in 1..=2 {
        let row = value(&pool, format!("SELECT state, video_digest FROM jobs WHERE id = {n}")).await;
        assert_eq!(row["state"], json!("completed"));
        is_there(&media, &row["video_digest"], &film(n, FILM_BYTES));
        for k in 0..2 {
            let sql = format!("SELECT clip_digest FROM scenes WHERE job_id = {n} AND index = {k}");
            is_there(&media, &value(&pool, sql).await["clip_digest"], &film(n * 10 + k, CLIP_BYTES));
        }
    }
    no_more_memory(&least, &report);
}
