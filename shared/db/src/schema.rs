//! The schema's migrations, embedded.

use crate::error::{DbError, Doing};
use sqlx::migrate::{MigrationType, Migrator};
use sqlx::{PgConnection, PgPool};

/// The migrations of our own tables (schema `public`).
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// Brings the schema up to date; safe to run from many processes at once.
pub async fn migrate(pool: &PgPool) -> Result<(), DbError> {
    Ok(MIGRATOR.run(pool).await?)
}

/// Versions that this program has and the database has not.
pub async fn pending_migrations(conn: &mut PgConnection) -> Result<Vec<i64>, DbError> {
    let applied: Vec<i64> =
        if sqlx::query_scalar!(r#"SELECT to_regclass('_sqlx_migrations') IS NOT NULL AS "there!""#)
            .fetch_one(&mut *conn)
            .await
            .doing("look for the migrations table")?
        {
            #[expect(clippy::disallowed_methods, reason = "the table exists only once a migration has run")]
            sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success")
                .fetch_all(conn)
                .await
                .doing("read the applied migrations")?
        } else {
            Vec::new()
        };
    Ok(MIGRATOR
        .iter()
        .filter(|m| !matches!(m.migration_type, MigrationType::ReversibleDown))
        .map(|m| m.version)
        .filter(|version| !applied.contains(version))
        .collect())
}
