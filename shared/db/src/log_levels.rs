//! An operator's word on what the processes of a program log. It always ends by itself: nobody remembers to turn it off.

use crate::error::{DbError, Doing};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// The programs that look for one.
pub const PROGRAMS: [&str; 2] = ["api", "worker"];

/// What a program logs, while it is not what its processes were started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLevel {
    /// One of [`PROGRAMS`].
    pub program: String,
    /// Levels and target=level, as in `RUST_LOG`.
    pub filter: String,
    /// When its processes go back to what they were started with.
    pub expires_at: DateTime<Utc>,
    /// Id of a key.
    pub set_by: String,
    /// When.
    pub set_at: DateTime<Utc>,
}

/// Sets it for so many minutes.
pub async fn set(
    conn: &mut PgConnection,
    program: &str,
    filter: &str,
    minutes: i32,
    by: &str,
) -> Result<LogLevel, DbError> {
    sqlx::query_as!(
        LogLevel,
        "INSERT INTO log_levels (program, filter, expires_at, set_by) VALUES ($1, $2, now() + $3 * interval '1 minute', $4)
         ON CONFLICT (program) DO UPDATE SET filter = excluded.filter, expires_at = excluded.expires_at, set_by = excluded.set_by,
                                             set_at = now()
         RETURNING program, filter, expires_at, set_by, set_at",
        program,
        filter,
        f64::from(minutes),
        by,
    )
    .fetch_one(conn)
    .await
    .doing("set a log level")
}

/// Takes it back; says whether there was one.
pub async fn clear(conn: &mut PgConnection, program: &str) -> Result<bool, DbError> {
    let gone = sqlx::query!("DELETE FROM log_levels WHERE program = $1", program)
        .execute(conn)
        .await
        .doing("take a log level back")?;
    Ok(gone.rows_affected() > 0)
}

/// Those that hold.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<LogLevel>, DbError> {
    sqlx::query_as!(
        LogLevel,
        "SELECT program, filter, expires_at, set_by, set_at FROM log_levels WHERE expires_at > now() ORDER BY program"
    )
    .fetch_all(conn)
    .await
    .doing("list the log levels")
}

/// What holds for a program.
pub async fn of(conn: &mut PgConnection, program: &str) -> Result<Option<String>, DbError> {
    sqlx::query_scalar!("SELECT filter FROM log_levels WHERE program = $1 AND expires_at > now()", program)
        .fetch_optional(conn)
        .await
        .doing("read the log level")
}
