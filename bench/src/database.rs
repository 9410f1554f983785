//! The database that the benchmark makes and drops, and everything about it that is neither Spool nor its ceiling.
#![expect(
    clippy::disallowed_methods,
    reason = "the statements are about databases that do not exist when this is compiled"
)]

use std::str::FromStr;

use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::figures::BoxError;

pub(crate) struct Database {
    server: PgConnectOptions,
    name: String,
}

impl Database {
    pub(crate) async fn create(url: &str) -> Result<Self, BoxError> {
        let server = PgConnectOptions::from_str(url)?;
        let name = format!("spool_bench_{}", std::process::id());
        let mut conn = PgConnection::connect_with(&server).await?;
        sqlx::query(AssertSqlSafe(format!("create database {name}"))).execute(&mut conn).await?;
        conn.close().await?;
        Ok(Self { server, name })
    }

    pub(crate) async fn drop(self) -> Result<(), BoxError> {
        let mut conn = PgConnection::connect_with(&self.server).await?;
        sqlx::query(AssertSqlSafe(format!("drop database {} with (force)", self.name)))
            .execute(&mut conn)
            .await?;
        conn.close().await?;
        Ok(())
    }

    pub(crate) fn options(&self) -> PgConnectOptions {
        self.server.clone().database(&self.name)
    }

    pub(crate) async fn pool(&self, connections: u32) -> Result<PgPool, BoxError> {
        let options = PgPoolOptions::new().max_connections(connections).min_connections(connections);
        Ok(options.test_before_acquire(false).connect_with(self.options()).await?)
    }

    /// The moment and the settings that the figures depend on.
    pub(crate) async fn settings(&self) -> Result<(String, Vec<(String, String)>), BoxError> {
        let mut conn = PgConnection::connect_with(&self.server).await?;
        let now =
            sqlx::query_scalar("select to_char(now() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
                .fetch_one(&mut conn)
                .await?;
        let settings = sqlx::query_as(
            "select name, coalesce(setting || unit, setting) from pg_settings
             where name in ('server_version', 'fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers', 'max_wal_size') order by name",
        )
        .fetch_all(&mut conn)
        .await?;
        conn.close().await?;
        Ok((now, settings))
    }

    /// An empty queue and an empty table of the ceiling.
    pub(crate) async fn reset(&self) -> Result<(), BoxError> {
        let pool = self.pool(1).await?;
        sqlx::raw_sql("drop schema if exists queue cascade; drop table if exists real")
            .execute(&pool)
            .await?;
        sqlx::raw_sql(
            "create table real (
                 id bigserial primary key, queue text not null, kind text not null, payload jsonb not null, state smallint not null default 0,
                 priority smallint not null default 0, run_at timestamptz not null default now(), attempt smallint not null default 0,
                 max_attempts smallint not null default 5, lease_token bigint, lease_until timestamptz, created_at timestamptz not null default now(),
                 finished_at timestamptz, last_error text);
             create index real_ready on real (queue, priority, run_at, id) where state = 0;
             create index real_running on real (lease_until) where state = 1",
        )
        .execute(&pool)
        .await?;
        spool_queue::migrate(&pool).await?;
        pool.close().await;
        Ok(())
    }

    /// So that neither a checkpoint nor a vacuum of the preparation falls into the measurement.
    pub(crate) async fn settle(&self) -> Result<(), BoxError> {
        let mut conn = PgConnection::connect_with(&self.options()).await?;
        sqlx::raw_sql("vacuum analyze").execute(&mut conn).await?;
        sqlx::raw_sql("checkpoint").execute(&mut conn).await?;
        conn.close().await?;
        Ok(())
    }
}
