//! `spool import elixir` as a program, on a database of the size that the older system had: every row and byte, in little memory.

use rusqlite::{Connection, params};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::{ConnectOptions, PgPool};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::Command;

pub(crate) const BOUND: Duration = Duration::from_secs(300);
/// What a film may add to the memory of the import: much less than a film.
const MOST_MORE: u64 = 12_000_000;

pub(crate) const CLIENTS: u64 = 2;
pub(crate) const CAMPAIGNS: u64 = 4;
pub(crate) const PHOTOS: u64 = 259;
const PHOTO_BYTES: usize = 200_000;
/// The one film whose size is on record.
pub(crate) const FILM_BYTES: usize = 33_435_877;
pub(crate) const CLIP_BYTES: usize = 8_000_000;

pub(crate) fn id(kind: u8, number: u64) -> String {
    format!("{kind:02x}000000-0000-4000-8000-{number:012x}")
}

/// Bytes that begin like a file of this kind and are different for each seed.
fn media(head: &[u8], seed: u64, length: usize) -> Vec<u8> {
    let block: Vec<u8> =
        (0..4096_u64).flat_map(|n| (n ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect();
    let mut bytes = head.to_vec();
    while bytes.len() < length {
        bytes.extend_from_slice(&(bytes.len() as u64 ^ seed).to_le_bytes());
        bytes.extend_from_slice(&block);
    }
    bytes.truncate(length);
    bytes
}

pub(crate) fn photo(n: u64) -> Vec<u8> {
    media(b"\xff\xd8\xff\xe0\x00\x10JFIF", n, PHOTO_BYTES + (n as usize % 50) * 1000)
}

pub(crate) fn film(n: u64, length: usize) -> Vec<u8> {
    media(b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41", n, length)
}

/// A database of the older system.
pub(crate) fn made(path: &Path, photos: u64, films: u64) {
    let db = Connection::open(path).expect("a database");
    db.execute_batch(
        "CREATE TABLE clients (id TEXT PRIMARY KEY, name TEXT, inserted_at TEXT, updated_at TEXT);
         CREATE TABLE campaigns (id TEXT PRIMARY KEY, name TEXT, client_id TEXT, inserted_at TEXT, updated_at TEXT);
         CREATE TABLE assets (id TEXT PRIMARY KEY, type TEXT, blob_data BLOB, name TEXT, campaign_id TEXT, inserted_at TEXT, updated_at TEXT);
         CREATE TABLE jobs (id INTEGER PRIMARY KEY, type TEXT, status TEXT, parameters TEXT, storyboard TEXT, progress TEXT, result BLOB,
                            audio_blob BLOB, video_name TEXT, estimated_cost FLOAT, inserted_at TEXT, updated_at TEXT);
         CREATE TABLE sub_jobs (id TEXT PRIMARY KEY, provider_id TEXT, status TEXT, video_blob BLOB, job_id INTEGER, inserted_at TEXT,
                                updated_at TEXT);
         PRAGMA synchronous = OFF; BEGIN",
    )
    .expect("a schema");
    let time = "2025-11-23T10:11:12";
    for n in 0..CLIENTS {
        db.execute(
            "INSERT INTO clients VALUES (?1, ?2, ?3, ?3)",
            params![id(1, n), format!("Client {n}"), time],
        )
        .expect("a client");
    }
    for n in 0..CAMPAIGNS {
        let values = params![id(2, n), format!("Campaign {n}"), id(1, n % CLIENTS), time];
        db.execute("INSERT INTO campaigns VALUES (?1, ?2, ?3, ?4, ?4)", values).expect("a campaign");
    }
    for n in 0..photos {
        let values = params![id(3, n), photo(n), format!("{n}.jpg"), id(2, n % CAMPAIGNS), time];
        db.execute("INSERT INTO assets VALUES (?1, 'image', ?2, ?3, ?4, ?5, ?5)", values).expect("an asset");
    }
    for n in 1..=films {
        let storyboard = json!({"scenes": [{"title": "a", "duration": 4}, {"title": "b", "duration": 4}], "total_duration": 8});
        let values = params![
            n as i64,
            json!({"campaign_id": id(2, 0)}).to_string(),
            storyboard.to_string(),
            film(n, FILM_BYTES),
            time
        ];
        db.execute("INSERT INTO jobs VALUES (?1, 'image_pairs', 'completed', ?2, ?3, '{}', ?4, NULL, 'Film', 3.2, ?5, ?5)", values)
            .expect("a job");
        for k in 0..2 {
            let clip = n * 10 + k;
            let values = params![id(4, clip), format!("pred{clip}"), film(clip, CLIP_BYTES), n as i64, time];
            db.execute("INSERT INTO sub_jobs VALUES (?1, ?2, 'completed', ?3, ?4, ?5, ?5)", values)
                .expect("a clip");
        }
    }
    db.execute_batch("COMMIT").expect("written");
}

pub(crate) fn command(arguments: &[&str], pool: &PgPool, media: &Path) -> Command {
    #[expect(clippy::disallowed_methods, reason = "tests start the program as a person would")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_spool"));
    command
        .args(arguments)
        .env("DATABASE_URL", pool.connect_options().to_url_lossy().as_str())
        .env("SPOOL_MEDIA_URL", media)
        .stdin(Stdio::null());
    command
}

pub(crate) async fn spool(arguments: &[&str], pool: &PgPool, media: &Path) -> Output {
    let ended = tokio::time::timeout(BOUND, command(arguments, pool, media).output());
    ended.await.expect("it ends").expect("it starts")
}

pub(crate) async fn import(system: &str, file: &Path, pool: &PgPool, media: &Path) -> Value {
    let file = file.to_str().expect("a readable path");
    let output = spool(&["import", system, file, "--json"], pool, media).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a report")
}

pub(crate) async fn value(pool: &PgPool, sql: String) -> Value {
    #[expect(clippy::disallowed_methods, reason = "tests look at rows as they are")]
    sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT to_jsonb(found) FROM ({sql}) found")))
        .fetch_one(pool)
        .await
        .expect("a row")
}

/// The row's digest is that of the bytes, and the store has them.
pub(crate) fn is_there(media: &Path, digest: &Value, bytes: &[u8]) {
    let expected = spool_job::canonical::hex(&Sha256::digest(bytes));
    assert_eq!(digest, &json!(expected));
    let path = media.join(&expected[..2]).join(&expected[2..4]).join(&expected);
    assert!(std::fs::read(path).expect("a stored file") == bytes, "the store holds something else");
}

/// 190 MB of media, films of 33 MB among them, leave hardly a trace in memory.
pub(crate) fn no_more_memory(least: &Value, most: &Value) {
    let peak = |report: &Value| report["peak_memory_bytes"].as_u64();
    if let (Some(least), Some(most)) = (peak(least), peak(most)) {
        println!("peak memory: {least} bytes for one photo, {most} for all");
        assert!(most < least + MOST_MORE, "{least} bytes for one photo, {most} for all");
    }
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_database_of_the_documented_size_arrives_in_constant_memory(pool: PgPool) {
    let folder = tempfile::tempdir().expect("a folder");
    let (small, large, media) =
        (folder.path().join("small.db"), folder.path().join("large.db"), folder.path().join("media"));
    made(&small, 1, 0);
    let least = import("elixir", &small, &pool, &media).await;
    made(&large, PHOTOS, 2);
    let report = import("elixir", &large, &pool, &media).await;
    let rows: Vec<(&str, u64)> = report["tables"]
        .as_array()
        .expect("tables")
        .iter()
        .map(|table| (table["table"].as_str().unwrap(), table["rows"].as_u64().unwrap()))
        .collect();
    assert_eq!(
        rows,
        [("clients", CLIENTS), ("campaigns", CAMPAIGNS), ("assets", PHOTOS), ("jobs", 2), ("sub_jobs", 4)]
    );

    for n in 0..PHOTOS {
        let row = value(
            &pool,
            format!("SELECT digest, name, campaign_id, client_id FROM assets WHERE id = '{}'", id(3, n)),
        )
        .await;
        assert_eq!(
            (&row["name"], &row["campaign_id"]),
            (&json!(format!("{n}.jpg")), &json!(id(2, n % CAMPAIGNS)))
        );
        assert_eq!(row["client_id"], json!(id(1, n % CAMPAIGNS % CLIENTS)));
        is_there(&media, &row["digest"], &photo(n));
    }
    for n in 1..=2 {
        let row = value(&pool, format!("SELECT state, video_digest FROM jobs WHERE id = {n}")).await;
        assert_eq!(row["state"], json!("completed"));
        is_there(&media, &row["video_digest"], &film(n, FILM_BYTES));
        for k in 0..2 {
            let row = value(
                &pool,
                format!("SELECT clip_digest, index FROM scenes WHERE id = '{}'", id(4, n * 10 + k)),
            )
            .await;
            assert_eq!(row["index"], json!(k));
            is_there(&media, &row["clip_digest"], &film(n * 10 + k, CLIP_BYTES));
        }
    }
    no_more_memory(&least, &report);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn errors_and_dry_runs_are_told_to_people(pool: PgPool) {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, media) = (folder.path().join("old.db"), folder.path().join("media"));
    made(&file, 2, 0);
    let path = file.to_str().unwrap();
    let output = spool(&["import", "scenes", path], &pool, &media).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("spool import elixir"), "{said}");
    let output = spool(&["import", "elixir", path, "--dry-run"], &pool, &media).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("assets") && said.contains("nothing was written"),
        "{said}"
    );
    assert!(!media.exists());
    assert_eq!(value(&pool, "SELECT count(*) AS n FROM imported_rows".to_owned()).await["n"], json!(0));
}
