//! The databases that the benchmark makes and drops, and everything about them that is neither Spool nor its ceiling.
#![expect(
    clippy::disallowed_methods,
    reason = "the statements are about databases that do not exist when this is compiled"
)]

use std::str::FromStr;

use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{figures::BoxError, server_cpu::Postmaster};

/// Every connection is there before anything is timed.
pub(crate) async fn pool(url: &str, connections: u32) -> Result<PgPool, BoxError> {
    let options = PgPoolOptions::new().max_connections(connections).min_connections(connections);
    Ok(options.test_before_acquire(false).connect(url).await?)
}

/// Whether Spool has nothing left that could be done now.
pub(crate) async fn is_drained(pool: &PgPool) -> Result<bool, BoxError> {
    let sql = "select not exists (select from queue.task where queue = 'main' and state = 0)
                  and not exists (select from queue.task where worker_id is not null)";
    Ok(sqlx::query_scalar(sql).fetch_one(pool).await?)
}

/// What lies in a database beside the tasks of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Backlog {
    pub(crate) finished: u32,
    pub(crate) future: u32,
    pub(crate) blocked: u32,
}

/// How the tasks of a database of Spool have ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) done: i64,
    /// Begun more than once.
    pub(crate) again: i64,
}

/// One server, and the databases of this run on it.
pub(crate) struct Server {
    options: PgConnectOptions,
    /// Up to the name of the database. Other libraries know other parameters, so there are none.
    address: String,
    made: Vec<String>,
}

impl Server {
    pub(crate) fn new(url: &str) -> Result<Self, BoxError> {
        let (address, _) =
            url.split('?').next().unwrap_or(url).rsplit_once('/').ok_or("a URL with a database")?;
        Ok(Self { options: PgConnectOptions::from_str(url)?, address: address.to_owned(), made: Vec::new() })
    }

    async fn admin(&self) -> Result<PgConnection, BoxError> {
        Ok(PgConnection::connect_with(&self.options).await?)
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// A new database, empty or like another one, with nothing left to be written to disk.
    pub(crate) async fn create(&mut self, template: Option<&str>) -> Result<String, BoxError> {
        let name = format!("spool_bench_{}_{}", std::process::id(), self.made.len());
        let template = template.unwrap_or("template0");
        let mut conn = self.admin().await?;
        let sql = format!("create database {name} template {template} strategy file_copy");
        sqlx::query(AssertSqlSafe(sql)).execute(&mut conn).await?;
        sqlx::raw_sql("checkpoint").execute(&mut conn).await?;
        conn.close().await?;
        self.made.push(name.clone());
        Ok(name)
    }

    pub(crate) async fn drop(&self, name: &str) -> Result<(), BoxError> {
        let mut conn = self.admin().await?;
        let sql = format!("drop database if exists {name} with (force)");
        sqlx::query(AssertSqlSafe(sql)).execute(&mut conn).await?;
        conn.close().await?;
        Ok(())
    }

    pub(crate) async fn drop_all(&self) {
        for name in &self.made {
            if let Err(error) = self.drop(name).await {
                eprintln!("{name} is left behind: {error}");
            }
        }
    }

    /// So that neither a checkpoint nor a vacuum of the preparation falls into the measurement.
    pub(crate) async fn settle(&self, name: &str) -> Result<(), BoxError> {
        let mut conn = PgConnection::connect(&self.url(name)).await?;
        sqlx::raw_sql("vacuum analyze").execute(&mut conn).await?;
        sqlx::raw_sql("checkpoint").execute(&mut conn).await?;
        conn.close().await?;
        Ok(())
    }

    /// Puts a past and a future into a database of Spool or of the ceiling.
    pub(crate) async fn lay(&self, name: &str, raw: bool, backlog: Backlog) -> Result<(), BoxError> {
        let mut conn = PgConnection::connect(&self.url(name)).await?;
        let Backlog { finished, future, blocked } = backlog;
        let payload = r#"{"job": 1, "scene": "0190f3a1-7c1e-7000-8000-0123456789ab"}"#;
        let sql = if raw {
            format!(
                "insert into real (queue, kind, payload, state, attempt, finished_at)
                     select 'main', 'noop', '{payload}', 2, 1, now() from generate_series(1, {finished});
                 insert into real (queue, kind, payload, state, run_at)
                     select 'main', 'noop', '{payload}', 3, now() + interval '1 day' + n * interval '1 second' from generate_series(1, {future}) n;
                 insert into real (queue, kind, payload, state) select 'main', 'noop', '{payload}', 4 from generate_series(1, {blocked})"
            )
        } else {
            format!(
                "insert into queue.task_history (id, finished_at, created_at, run_at, started_at, lease_token, worker_id, parks, state, priority,
                         version, attempt, queue, kind, payload)
                     select nextval('queue.task_id'), now(), now(), now(), now(), n, 1, 0, 5, 0, 1, 1, 'main', 'noop', '{payload}'
                     from generate_series(1, {finished}) n;
                 insert into queue.task (queue, kind, payload, state, run_at)
                     select 'main', 'noop', '{payload}', 1, now() + interval '1 day' + n * interval '1 second' from generate_series(1, {future}) n;
                 with made as (insert into queue.task (queue, kind, payload, state, waits)
                                   select 'main', 'noop', '{payload}', 3, 1 from generate_series(1, {blocked}) returning id)
                 insert into queue.edge (parent, child, run_anyway)
                     select (select min(id) from queue.task), id, false from made"
            )
        };
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await?;
        conn.close().await?;
        self.settle(name).await
    }

    /// Transactions that have ended in a database; each statement outside of one is one.
    pub(crate) async fn transactions(&self, name: &str) -> Result<i64, BoxError> {
        let mut conn = self.admin().await?;
        let sql = "select xact_commit + xact_rollback from pg_stat_database where datname = $1";
        let count = sqlx::query_scalar(sql).bind(name).fetch_one(&mut conn).await?;
        conn.close().await?;
        Ok(count)
    }

    /// How many tasks have ended, each counted once, and how many of them began more than once.
    pub(crate) async fn ends(&self, name: &str) -> Result<Ends, BoxError> {
        let mut conn = PgConnection::connect(&self.url(name)).await?;
        let sql = "select count(distinct id) filter (where state = 5), count(*) filter (where attempt > 1), count(*) from queue.task_history";
        let (done, again, rows): (i64, i64, i64) = sqlx::query_as(sql).fetch_one(&mut conn).await?;
        conn.close().await?;
        if rows != done {
            return Err(format!("{rows} ends of {done} tasks that succeeded").into());
        }
        Ok(Ends { done, again })
    }

    /// A transaction that still sees the database as it is now.
    pub(crate) async fn snapshot(&self, name: &str) -> Result<PgConnection, BoxError> {
        let mut conn = PgConnection::connect(&self.url(name)).await?;
        sqlx::raw_sql("begin isolation level repeatable read; select count(*) from pg_class")
            .execute(&mut conn)
            .await?;
        Ok(conn)
    }

    /// The server's processes, if it runs on this machine.
    pub(crate) async fn postmaster(&self) -> Result<Postmaster, BoxError> {
        let mut conn = self.admin().await?;
        let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut conn).await?;
        let found = Postmaster::of_backend(pid);
        conn.close().await?;
        found
    }

    /// The moment and the settings that the figures depend on.
    pub(crate) async fn settings(&self) -> Result<(String, Vec<(String, String)>), BoxError> {
        let mut conn = self.admin().await?;
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
}
