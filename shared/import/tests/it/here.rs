//! What is here: a store, a database, and the ways to look at both.

use serde_json::Value;
use sha2::{Digest, Sha256};
use spool_import::error::ImportError;
use spool_import::report::Report;
use spool_import::{Import, MediaStore, Source, System, Watch, run};
use sqlx::PgPool;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A place to import into.
pub(crate) struct Here {
    pub(crate) folder: TempDir,
    pub(crate) pool: PgPool,
    pub(crate) store: MediaStore,
}

/// How to import, where it is not as usual.
#[derive(Default, Clone, Copy)]
pub(crate) struct How<'a> {
    pub(crate) dry_run: bool,
    pub(crate) verify: bool,
    pub(crate) renumber: bool,
    pub(crate) files: Option<&'a Path>,
    pub(crate) name: Option<&'a str>,
}

pub(crate) struct Nobody;

impl Watch for Nobody {
    fn table(&mut self, _: &str, _: u64) {}
    fn rows(&mut self, _: u64, _: u64) {}
}

impl Here {
    pub(crate) fn new(pool: PgPool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = folder.path().join("media");
        let store = MediaStore::open(store.to_str().expect("a readable path")).expect("a store");
        Self { folder, pool, store }
    }

    /// Where the older database of a test is made.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("old.db")
    }

    pub(crate) async fn try_import(&self, system: System, how: How<'_>) -> Result<Report, ImportError> {
        let source = Source::open(&self.file(), system).await?;
        let import = Import {
            system,
            name: how.name.unwrap_or(system.as_str()),
            db: &self.pool,
            store: (!how.dry_run).then_some(&self.store),
            files: how.files,
            fetch: None,
            verify: how.verify,
            renumber_jobs: how.renumber,
        };
        run(&import, &source, &mut Nobody).await
    }

    pub(crate) async fn import(&self, system: System, how: How<'_>) -> Report {
        self.try_import(system, how).await.unwrap_or_else(|error| panic!("{error}: {error:?}"))
    }

    /// One value, as JSON.
    pub(crate) async fn value(&self, sql: &str) -> Value {
        let sql = format!("SELECT COALESCE(to_jsonb(found), 'null') FROM ({sql}) found");
        #[expect(clippy::disallowed_methods, reason = "tests look at rows as they are")]
        let found: Option<Value> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_optional(&self.pool).await.expect("a query");
        found.unwrap_or(Value::Null)
    }

    pub(crate) async fn count(&self, table: &str) -> i64 {
        self.value(&format!("SELECT count(*) AS n FROM {table}")).await["n"].as_i64().expect("a number")
    }

    pub(crate) async fn execute(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.pool).await.expect("a statement");
    }

    /// Every row of every table of ours, and every file: what a second run must leave as it is.
    pub(crate) async fn everything(&self) -> String {
        let mut all = String::new();
        for table in [
            "clients",
            "campaigns",
            "media",
            "assets",
            "jobs",
            "scenes",
            "job_events",
            "predictions",
            "ledger",
            "briefs",
            "video_metrics",
            "imports",
            "imported_rows",
            "imported_media",
        ] {
            let rows = self
                .value(&format!("SELECT jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)) AS rows FROM {table} t"))
                .await;
            writeln!(all, "{table}: {rows}").expect("a string takes everything");
        }
        all.push_str(&self.value("SELECT last_value FROM jobs_id_seq").await.to_string());
        all
    }

    /// The stored file with the digest of these bytes holds them.
    pub(crate) fn has_bytes(&self, bytes: &[u8]) {
        let digest = digest(bytes);
        let path = self.folder.path().join("media").join(&digest[..2]).join(&digest[2..4]).join(&digest);
        assert!(std::fs::read(&path).expect("a stored file") == bytes, "{digest} holds something else");
    }
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    spool_job::canonical::hex(&Sha256::digest(bytes))
}

/// Bytes that begin like a file of this kind and are different for each seed.
pub(crate) fn media(head: &[u8], seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = head.to_vec();
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length.max(head.len()));
    bytes
}

pub(crate) fn jpeg(seed: u64, length: usize) -> Vec<u8> {
    media(b"\xff\xd8\xff\xe0\x00\x10JFIF", seed, length)
}

pub(crate) fn mp4(seed: u64, length: usize) -> Vec<u8> {
    media(b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41", seed, length)
}

pub(crate) fn mp3(seed: u64, length: usize) -> Vec<u8> {
    media(b"ID3\x04\0\0\0\0\0\0", seed, length)
}

/// The k-th id of a kind, always the same.
pub(crate) fn id(kind: u8, number: u64) -> String {
    format!("{kind:02x}000000-0000-4000-8000-{number:012x}")
}
