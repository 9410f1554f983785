//! The server itself: its version, its clock, how careful it is, its connections; and who may call us.

use crate::error::{DbError, Doing};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// How the server is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Such as `15.8`.
    pub version: String,
    /// Such as 150008.
    pub version_num: i32,
    /// The database that we are connected to.
    pub database: String,
    /// The user that we are connected as.
    pub role: String,
    /// A standby, on which nothing can be written.
    pub is_standby: bool,
    /// We see what other users' sessions do.
    pub sees_all: bool,
    /// Settings that give up what was committed when the machine stops, and that are set so.
    pub unsafe_settings: Vec<String>,
    /// Autovacuum runs, and sees what changes.
    pub autovacuum: bool,
    /// Its clock.
    pub now: DateTime<Utc>,
}

/// Asks it.
pub async fn server(conn: &mut PgConnection) -> Result<Server, DbError> {
    sqlx::query_as!(
        Server,
        r#"SELECT current_setting('server_version') AS "version!", current_setting('server_version_num')::integer AS "version_num!",
                  current_database()::text AS "database!", current_user::text AS "role!", pg_is_in_recovery() AS "is_standby!",
                  pg_has_role(current_user, 'pg_read_all_stats', 'member') AS "sees_all!",
                  array(SELECT name || '=off' FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off'
                        ORDER BY name) AS "unsafe_settings!: Vec<String>",
                  current_setting('autovacuum')::boolean AND current_setting('track_counts')::boolean AS "autovacuum!",
                  clock_timestamp() AS "now!""#
    )
    .fetch_one(conn)
    .await
    .doing("ask the server how it is set up")
}

/// What is used of the connections that there may be.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Connections {
    /// The tightest bound: the server's for ordinary users, the database's or the user's.
    pub allowed: i64,
    /// What counts against it.
    pub used: i64,
    /// By what each session calls itself, most first.
    pub by_application: Vec<(String, i64)>,
    /// Share of the notification queue that is used, 0 to 1.
    pub notify_queue: f64,
}

/// Counts them.
pub async fn connections(conn: &mut PgConnection) -> Result<Connections, DbError> {
    const DOING: &str = "count the connections";
    // Of three bounds the one that leaves least.
    let row = sqlx::query!(
        r#"WITH sessions AS MATERIALIZED (SELECT datname, usename FROM pg_stat_activity WHERE backend_type = 'client backend'),
                bounds AS (
                    SELECT current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint
                               - coalesce(nullif(current_setting('reserved_connections', true), '')::bigint, 0) AS allowed,
                           (SELECT count(*) FROM sessions) AS used
                    UNION ALL
                    SELECT datconnlimit, (SELECT count(*) FROM sessions s WHERE s.datname = d.datname)
                    FROM pg_database d WHERE datname = current_database() AND datconnlimit >= 0
                    UNION ALL
                    SELECT rolconnlimit, (SELECT count(*) FROM sessions s WHERE s.usename = r.rolname)
                    FROM pg_roles r WHERE rolname = current_user AND rolconnlimit >= 0)
           SELECT allowed AS "allowed!", used AS "used!", pg_notification_queue_usage() AS "notify_queue!"
           FROM bounds ORDER BY allowed - used LIMIT 1"#
    )
    .fetch_one(&mut *conn)
    .await
    .doing(DOING)?;
    let by_application = sqlx::query!(
        r#"SELECT coalesce(nullif(application_name, ''), 'unnamed') AS "application!", count(*) AS "n!" FROM pg_stat_activity
           WHERE backend_type = 'client backend' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10"#
    )
    .fetch_all(conn)
    .await
    .doing(DOING)?;
    Ok(Connections {
        allowed: row.allowed,
        used: row.used,
        by_application: by_application.into_iter().map(|row| (row.application, row.n)).collect(),
        notify_queue: row.notify_queue,
    })
}

/// API keys that are not revoked and have not expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keys {
    /// All of them.
    pub usable: i64,
    /// Those that expire within a week.
    pub expiring: i64,
}

/// Counts them.
pub async fn keys(conn: &mut PgConnection) -> Result<Keys, DbError> {
    sqlx::query_as!(
        Keys,
        r#"SELECT count(*) AS "usable!", count(*) FILTER (WHERE expires_at < now() + interval '7 days') AS "expiring!"
           FROM api_keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"#
    )
    .fetch_one(conn)
    .await
    .doing("count the API keys")
}
