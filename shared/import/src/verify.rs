//! Looks again at rows that were imported before: are the bytes there still the ones that lie here? Bytes that the store has lost
//! are put back on the way.

use crate::attach::Attach;
use crate::error::ImportError;
use crate::plan::Treatment;
use crate::source::row::Row;
use spool_db::import::register::{self, Origin};
use sqlx::PgPool;

/// Whether all media of the row are what the register says. A file or an address that is gone since is no difference.
pub(crate) async fn is_same(
    pool: &PgPool,
    origin: &str,
    attach: &Attach<'_>,
    row: &Row,
    treatment: Treatment,
) -> Result<bool, ImportError> {
    let mut connection =
        pool.acquire().await.map_err(|source| ImportError::Transaction { doing: "connect for", source })?;
    let origin = Origin { source: origin, table: &row.table, row: &row.id };
    let registered = register::media(&mut connection, origin).await?;
    drop(connection);
    if registered.is_empty() {
        return Ok(true);
    }
    let found = attach.media(row, treatment).await?;
    Ok(registered
        .iter()
        .all(|(column, digest)| found.media.get(column).is_none_or(|held| held.digest == *digest)))
}
