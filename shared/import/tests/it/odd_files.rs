//! Files that are something else, damaged, or of a shape nobody documented.

use crate::elixir_database::make;
use crate::here::{Here, How, jpeg};
use crate::scenes_database::third;
use rusqlite::{Connection, params};
use serde_json::json;
use spool_import::error::ImportError;
use spool_import::{Source, System};
use sqlx::PgPool;
use std::path::Path;

async fn refusal(path: &Path, system: System) -> ImportError {
    Source::open(path, system).await.map(|_| ()).unwrap_err()
}

#[tokio::test]
async fn what_is_no_database_is_called_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f");
    let cases: [(&[u8], &str); 5] = [
        (b"", "empty"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "gzip"),
        (b"PK\x03\x04whatever....", "ZIP"),
        (b"BEGIN TRANSACTION;\nCREATE TABLE", "text"),
        (b"\x00\x01\x02\x03\x00\x01\x02\x03\x00\x01\x02\x03\x00\x01\x02\x03", "first bytes"),
    ];
    for (bytes, word) in cases {
        std::fs::write(&file, bytes).unwrap();
        let error = refusal(&file, System::Scenes).await;
        assert!(
            matches!(error, ImportError::NotSqlite { .. }) && error.to_string().contains(word),
            "{error}"
        );
    }
    let error = refusal(&folder.path().join("nothing"), System::Scenes).await;
    assert!(matches!(error, ImportError::Open { .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_or_foreign_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("old.db");
    drop(make(&file));
    let whole = std::fs::read(&file).unwrap();
    let error = refusal(&file, System::Scenes).await;
    assert!(
        matches!(error, ImportError::Foreign { .. }) && error.to_string().contains("spool import elixir"),
        "{error}"
    );
    for broken in [whole[..whole.len() / 2].to_vec(), {
        let mut bytes = whole.clone();
        bytes[4096..20_000].fill(0xff);
        bytes
    }] {
        std::fs::write(&file, broken).unwrap();
        let error = refusal(&file, System::Elixir).await;
        assert!(matches!(error, ImportError::Damaged { .. }), "{error:?}");
        assert!(error.to_string().contains("old.db"), "{error}");
    }
    std::fs::remove_file(&file).unwrap();
    drop(third(&file));
    let error = refusal(&file, System::Elixir).await;
    assert!(error.to_string().contains("spool import scenes"), "{error}");
    let other = folder.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE places (id)").unwrap();
    let error = refusal(&other, System::Elixir).await;
    assert!(error.to_string().contains("places"), "{error}");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn unknown_tables_columns_and_values_are_kept(pool: PgPool) {
    let here = Here::new(pool);
    let db = Connection::open(here.file()).unwrap();
    // Columns that are missing, of other types, and some that nobody knows.
    db.execute_batch(
        "CREATE TABLE clients (id TEXT PRIMARY KEY, user_id INTEGER, name TEXT, mood TEXT);
         CREATE TABLE assets (id TEXT PRIMARY KEY, asset_type TEXT, client_id TEXT, blob_data, size TEXT, weight REAL);
         CREATE TABLE \"odd \"\"table\" (a, \"b c\" BLOB);
         CREATE TABLE pairs (x INTEGER, y TEXT, note TEXT, PRIMARY KEY (x, y));
         CREATE TABLE without (k TEXT PRIMARY KEY) WITHOUT ROWID;
         CREATE VIEW seen AS SELECT * FROM clients;
         INSERT INTO clients VALUES ('c', 1, 'Ann', 'good');
         INSERT INTO pairs VALUES (1, 'a', 'one'), (1, 'b', 'nul: ' || char(0) || '.');
         INSERT INTO without VALUES ('k');",
    )
    .unwrap();
    let picture = jpeg(5, 3_000);
    db.execute("INSERT INTO assets VALUES ('a1', 'image', 'c', ?1, 'large', 1.5)", [&picture]).unwrap();
    db.execute("INSERT INTO assets VALUES (NULL, 'image', 'c', ?1, NULL, NULL)", [jpeg(6, 3_000)]).unwrap();
    let long = "x".repeat(3_000_000);
    db.execute("INSERT INTO \"odd \"\"table\" VALUES (?1, ?2)", params![long, b"\x00\x01".to_vec()]).unwrap();
    let report = here.import(System::Scenes, How::default()).await;
    assert!(report.is_complete(), "{report}");
    let document =
        here.value("SELECT document FROM imported_rows WHERE table_name = 'clients'").await["document"]
            .clone();
    assert_eq!(document, json!({"user_id": 1, "mood": "good"}));
    assert_eq!(here.count("assets").await, 2);
    let document = here
        .value("SELECT document FROM imported_rows WHERE table_name = 'assets' AND row_id = 'a1'")
        .await["document"]
        .clone();
    assert_eq!(document, json!({"size": "large", "weight": 1.5}));
    let noted = here
        .value("SELECT document FROM imported_rows WHERE table_name = 'pairs' AND row_id = '1/b'")
        .await["document"]
        .clone();
    assert_eq!(noted["note"], json!("nul: \u{fffd}."));
    here.has_bytes(long.as_bytes());
    here.has_bytes(b"\x00\x01");
    here.has_bytes(&picture);
    let columns: Vec<&str> =
        report.table("clients").unwrap().columns.iter().map(|column| column.column.as_str()).collect();
    assert_eq!(columns, ["mood", "user_id"]);
    assert!(report.table("without").unwrap().skipped.is_some() && report.table("seen").is_none());
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_database_in_wal_mode_is_read_with_its_log(pool: PgPool) {
    let here = Here::new(pool);
    let db = make(&here.file());
    db.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    db.execute("UPDATE clients SET name = 'In the log' WHERE rowid = 1", []).unwrap();
    // The writer is still open, so the log is not folded in.
    here.import(System::Elixir, How::default()).await;
    assert_eq!(
        here.value("SELECT count(*) AS n FROM clients WHERE name = 'In the log'").await["n"],
        json!(1)
    );
}
