//! Keeping the log of deliveries: what is old goes, and what has lost its task is found.

use crate::error::{DbError, Doing};
use sqlx::PgConnection;
use std::time::Duration;
use uuid::Uuid;

/// Deletes at most `limit` deliveries with their tries: those that ended so long ago, and those of endpoints that are gone. Says how
/// many there were.
pub async fn drop_old(conn: &mut PgConnection, age: Duration, limit: i64) -> Result<u64, DbError> {
    let gone = sqlx::query!(
        "DELETE FROM hook_deliveries WHERE id IN (
             (SELECT id FROM hook_deliveries
              WHERE state <> 'pending' AND ended_at < now() - $1::double precision * interval '1 second' LIMIT $2)
             UNION ALL
             (SELECT d.id FROM hook_deliveries d
              WHERE NOT EXISTS (SELECT FROM hook_endpoints e WHERE e.id = d.endpoint_id) LIMIT $2))",
        age.as_secs_f64(),
        limit,
    )
    .execute(conn)
    .await
    .doing("drop old webhook deliveries")?;
    Ok(gone.rows_affected())
}

/// A delivery that should have been tried by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// Which one.
    pub id: Uuid,
    /// Its place in lists.
    pub place: i64,
    /// Whom it is for.
    pub endpoint_id: Uuid,
}

/// Deliveries that have been due for so long, in order of their places after `after`. Most of them only wait in a long line; one whose
/// task was canceled or has died waits for nothing.
pub async fn overdue(
    conn: &mut PgConnection,
    by: Duration,
    after: i64,
    limit: i64,
) -> Result<Vec<Overdue>, DbError> {
    sqlx::query_as!(
        Overdue,
        "SELECT id, place, endpoint_id FROM hook_deliveries
         WHERE state = 'pending' AND place > $2 AND next_at < now() - $1::double precision * interval '1 second'
         ORDER BY place LIMIT $3",
        by.as_secs_f64(),
        after,
        limit,
    )
    .fetch_all(conn)
    .await
    .doing("find overdue webhook deliveries")
}
