//! The schema of the queue, kept by migrations of its own in the schema `queue`.

use std::{borrow::Cow, sync::LazyLock};

use sqlx::{
    PgPool,
    migrate::{MigrateError, Migrator},
};

/// The migrations of the queue, embedded. For `#[sqlx::test(migrator = "spool_queue::MIGRATOR")]` too.
pub static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("./migrations");
    migrator.table_name = Cow::Borrowed("queue._migrations");
    migrator.create_schemas = Cow::Borrowed(&[Cow::Borrowed("queue")]);
    migrator
});

/// Brings the schema `queue` up to date. Safe to run from many processes at once, and again.
///
/// # Errors
/// When a migration fails, or the database has a newer schema than this program knows.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    MIGRATOR.run(pool).await
}
