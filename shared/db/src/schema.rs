//! The schema's migrations, embedded.

use crate::error::{DbError, Doing};
use sqlx::migrate::{MigrationType, Migrator};
use sqlx::{PgConnection, PgPool};
use std::collections::BTreeMap;

/// The migrations of our own tables (schema `public`).
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// Brings the schema up to date; safe to run from many processes at once.
pub async fn migrate(pool: &PgPool) -> Result<(), DbError> {
    Ok(MIGRATOR.run(pool).await?)
}

/// How the schema of a database stands to this program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Migrations {
    /// Versions that this program has and the database has not.
    pub pending: Vec<i64>,
    /// Versions that the database has and this program does not know.
    pub unknown: Vec<i64>,
    /// Versions that were something else when they were applied.
    pub changed: Vec<i64>,
    /// Versions that both have.
    pub applied: usize,
}

/// Compares them.
pub async fn migrations(conn: &mut PgConnection) -> Result<Migrations, DbError> {
    let is_there = sqlx::query_scalar!(r#"SELECT to_regclass('_sqlx_migrations') IS NOT NULL AS "there!""#)
        .fetch_one(&mut *conn)
        .await
        .doing("look for the migrations table")?;
    let mut rows: BTreeMap<i64, Vec<u8>> = BTreeMap::new();
    if is_there {
        #[expect(clippy::disallowed_methods, reason = "the table exists only once a migration has run")]
        let found: Vec<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success")
                .fetch_all(conn)
                .await
                .doing("read the applied migrations")?;
        rows.extend(found);
    }
    let mut compared = Migrations::default();
    for known in MIGRATOR.iter().filter(|m| !matches!(m.migration_type, MigrationType::ReversibleDown)) {
        match rows.remove(&known.version) {
            None => compared.pending.push(known.version),
            Some(checksum) if checksum != known.checksum.as_ref() => compared.changed.push(known.version),
            Some(_) => compared.applied += 1,
        }
    }
    compared.unknown = rows.into_keys().collect();
    Ok(compared)
}

/// Versions that this program has and the database has not.
pub async fn pending_migrations(conn: &mut PgConnection) -> Result<Vec<i64>, DbError> {
    Ok(migrations(conn).await?.pending)
}
