//! What is paid for and not stored, and what was bought without a row.

use crate::error::DbError;
use crate::{custody, orphans};
use sqlx::PgConnection;

/// What providers hold of ours.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Purchases {
    /// Outputs to be fetched, and those that are lost.
    pub custody: custody::Standing,
    /// Predictions that no row knew.
    pub orphans: orphans::Totals,
}

/// Counts it.
pub async fn purchases(conn: &mut PgConnection) -> Result<Purchases, DbError> {
    Ok(Purchases { custody: custody::standing(conn).await?, orphans: orphans::totals(conn).await? })
}
