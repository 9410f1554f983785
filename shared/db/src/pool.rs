//! The connection pool both programs use, for our own tables and for the queue's.

use crate::error::{DbError, Doing};
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use std::str::FromStr;
use std::time::Duration;

/// Where the database is and how to use it.
#[derive(Debug, Clone)]
pub struct DatabaseOptions {
    /// `postgres://user:password@host/name`.
    pub url: SecretString,
    /// Most connections of this process.
    pub max_connections: u32,
    /// A PgBouncer below 1.21 in transaction mode stands between: no named prepared statements.
    pub pgbouncer: bool,
    /// Shown in `pg_stat_activity`.
    pub application: &'static str,
}

/// Opens a pool; the first connection is made now, so that a wrong address stops the start.
pub async fn connect(options: &DatabaseOptions) -> Result<PgPool, DbError> {
    let mut connect = PgConnectOptions::from_str(options.url.expose_secret())
        .doing("read DATABASE_URL")?
        .application_name(options.application);
    if options.pgbouncer {
        connect = connect.statement_cache_capacity(0);
    }
    PgPoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(Duration::from_secs(10))
        // A dead connection shows in its first statement, which callers survive anyway; asking
        // before each checkout would cost a round trip per statement.
        .test_before_acquire(false)
        .connect_with(connect)
        .await
        .doing("connect to the database of DATABASE_URL")
}
