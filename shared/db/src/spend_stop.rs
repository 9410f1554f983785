//! The emergency stop: while its one row stands, nothing is bought.

use crate::error::{DbError, Doing};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// Why, where whoever stops spending is in too much of a hurry to say.
pub const NO_REASON: &str = "stopped by hand, no reason given";

/// The emergency stop, while it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    pub why: String,
    /// Who stopped it: the name of a key, or the account of a shell.
    pub by: String,
    pub at: DateTime<Utc>,
}

/// Halts all new spending. What is bought already goes on.
pub async fn stop(conn: &mut PgConnection, why: &str, by: &str) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO spend_stop (why, by) VALUES ($1, $2) ON CONFLICT (single) DO UPDATE SET why = excluded.why, by = excluded.by",
        why,
        by
    )
    .execute(conn)
    .await
    .doing("stop all spending")?;
    Ok(())
}

/// Lifts the stop; says whether there was one.
pub async fn go_on(conn: &mut PgConnection) -> Result<bool, DbError> {
    let lifted = sqlx::query!("DELETE FROM spend_stop").execute(conn).await.doing("allow spending again")?;
    Ok(lifted.rows_affected() > 0)
}

/// Whether spending is stopped.
pub async fn stopped(conn: &mut PgConnection) -> Result<Option<Stop>, DbError> {
    let row = sqlx::query!("SELECT why, by, stopped_at FROM spend_stop").fetch_optional(conn).await;
    let row = row.doing("look for a stop")?;
    Ok(row.map(|row| Stop { why: row.why, by: row.by, at: row.stopped_at }))
}
