//! The connection pool both programs use, for our own tables and for the queue's.

use crate::error::{DbError, Doing};
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use std::str::FromStr;
use std::time::Duration;

/// Where the database is and how to use it.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// Postgres 15 to 18: postgres://user:password@host/database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: SecretString,
    /// Most connections of this process to Postgres.
    #[arg(long, env = "SPOOL_DB_POOL", default_value_t = 16, value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub db_pool: u32,
    /// A PgBouncer in transaction mode stands before Postgres: no listening, every statement in a transaction. Below
    /// version 1.21 it needs `server_reset_query = DEALLOCATE ALL` and `server_reset_query_always = 1`.
    #[arg(long, env = "SPOOL_PGBOUNCER", default_value_t = false, action = clap::ArgAction::Set)]
    pub pgbouncer: bool,
}

/// A process that stands still in the middle of a transaction (stopped, swapped out, cut off) loses it, and with it its
/// row locks, before its lease is over. Nothing of ours waits for the outside inside a transaction.
const IDLE_IN_TRANSACTION: &str = "5s";

/// No statement of ours runs long enough to gain from being compiled; one that Postgres thinks does takes a second for it.
const JIT: &str = "off";

/// Opens a pool, shown in `pg_stat_activity` as `application`; the first connection is made now, so that a wrong address stops the start.
pub async fn connect(options: &DatabaseArgs, application: &'static str) -> Result<PgPool, DbError> {
    let mut connect = PgConnectOptions::from_str(options.database_url.expose_secret())
        .doing("read DATABASE_URL")?
        .application_name(application);
    connect = if options.pgbouncer {
        // It refuses settings at the start; give the role `idle_in_transaction_session_timeout` and `jit` instead.
        connect.statement_cache_capacity(0).extra_float_digits(None)
    } else {
        connect.options([("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION), ("jit", JIT)])
    };
    PgPoolOptions::new()
        .max_connections(options.db_pool)
        .acquire_timeout(Duration::from_secs(10))
        // A dead connection shows in its first statement, which callers survive anyway; asking
        // before each checkout would cost a round trip per statement.
        .test_before_acquire(false)
        .connect_with(connect)
        .await
        .doing("connect to the database of DATABASE_URL")
}
