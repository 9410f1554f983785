//! Whether everything the API stands on is there. Each check is bounded, so that the answer always comes.

use std::time::Duration;

use spool_media::key::Digest;
use sqlx::migrate::Migrate as _;

use crate::state::AppState;

/// A check that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy)]
pub struct Found {
    pub database: bool,
    pub migrations: bool,
    pub storage: bool,
}

impl Found {
    pub fn is_ready(self) -> bool {
        self.database && self.migrations && self.storage
    }
}

pub async fn check(state: &AppState) -> Found {
    let (schema, storage) = tokio::join!(
        tokio::time::timeout(PATIENCE, schema(state)),
        tokio::time::timeout(PATIENCE, storage(state)),
    );
    let found = Found {
        database: matches!(schema, Ok(Some(_))),
        migrations: matches!(schema, Ok(Some(true))),
        storage: storage == Ok(true),
    };
    if !found.is_ready() {
        tracing::warn!(why = ?found, "not ready");
    }
    found
}

/// Whether the store answers and the scratch space beside it takes new files.
async fn storage(state: &AppState) -> bool {
    let answers = state.store.size(&Digest::of(b"")).await.is_ok();
    answers && state.store.scratch().folder().is_ok()
}

/// Whether the database has all migrations that this program knows; `None` when it cannot be asked.
async fn schema(state: &AppState) -> Option<bool> {
    let mut conn = state.db.read().await.ok()?;
    let ours = spool_db::schema::pending_migrations(&mut conn).await.ok()?;
    // Where the queue's table of migrations is missing, so are its migrations.
    let applied = conn.list_applied_migrations(&spool_queue::MIGRATOR.table_name).await.unwrap_or_default();
    let is_there = |version| applied.iter().any(|migration| migration.version == version);
    Some(ours.is_empty() && spool_queue::MIGRATOR.iter().all(|migration| is_there(migration.version)))
}
