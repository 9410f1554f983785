//! What takes a little longer and changes slowly: waste, storage, tables.

use spool_db::{figures, waste_hours};
use spool_telemetry::names;
use spool_telemetry::samples::Samples;
use sqlx::PgConnection;

use super::Trouble;

/// Works them out.
pub(super) async fn samples(conn: &mut PgConnection) -> Result<Samples, Trouble> {
    let mut all = Samples::default();
    for (class, micros) in waste_hours::of_last_day(conn).await? {
        all.count(names::SPEND_CLASS, &[class], micros.0);
    }
    for stored in figures::stored(conn).await? {
        all.count(names::STORAGE_FILES, &[&stored.kind], stored.files);
        all.count(names::STORAGE_BYTES, &[&stored.kind], stored.bytes);
    }
    let (tables, whole) = figures::tables(conn).await?;
    for table in tables {
        all.count(names::POSTGRES_DEAD_ROWS, &[&table.name], table.dead_rows);
        all.count(names::POSTGRES_TABLE_BYTES, &[&table.name], table.bytes);
    }
    all.count(names::POSTGRES_DATABASE_BYTES, &[], whole);
    Ok(all)
}
