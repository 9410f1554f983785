//! How many predictions a provider works on for us.

use crate::error::{DbError, Doing};
use sqlx::PgConnection;

/// Predictions of a provider that were submitted and have not ended, of all jobs and workers.
pub async fn in_flight(conn: &mut PgConnection, provider: &str) -> Result<i64, DbError> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM predictions WHERE state = 'submitted' AND provider = $1"#,
        provider
    )
    .fetch_one(conn)
    .await
    .doing("count the predictions in flight")
}
