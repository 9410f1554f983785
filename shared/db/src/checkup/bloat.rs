//! Whether autovacuum keeps up with the tables.

use crate::error::{DbError, Doing};
use sqlx::PgConnection;

/// A table of ours or of the queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// With its schema.
    pub name: String,
    /// Rows, as Postgres estimates them.
    pub live: i64,
    /// Dead ones.
    pub dead: i64,
    /// So many dead ones make autovacuum come.
    pub threshold: f64,
    /// Autovacuum may come.
    pub autovacuum: bool,
    /// Seconds since it was last cleaned, by whomever.
    pub cleaned_s: Option<f64>,
}

/// All of them, those with most dead rows first.
pub async fn tables(conn: &mut PgConnection) -> Result<Vec<Table>, DbError> {
    sqlx::query_as!(
        Table,
        r#"SELECT s.schemaname || '.' || s.relname AS "name!", s.n_live_tup AS "live!", s.n_dead_tup AS "dead!",
                  coalesce(o.threshold, current_setting('autovacuum_vacuum_threshold'))::float8
                      + coalesce(o.scale, current_setting('autovacuum_vacuum_scale_factor'))::float8 * greatest(c.reltuples, 0) AS "threshold!",
                  coalesce(o.enabled, 'true')::boolean AS "autovacuum!",
                  extract(epoch FROM now() - greatest(s.last_vacuum, s.last_autovacuum))::float8 AS cleaned_s
           FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
           CROSS JOIN LATERAL (
               SELECT max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_threshold') AS threshold,
                      max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_scale_factor') AS scale,
                      max(option_value) FILTER (WHERE option_name = 'autovacuum_enabled') AS enabled
               FROM pg_options_to_table(c.reloptions)) o
           WHERE s.schemaname IN ('public', 'queue') ORDER BY s.n_dead_tup DESC, 1"#
    )
    .fetch_all(conn)
    .await
    .doing("look at the dead rows of the tables")
}

/// How far the transaction numbers have come since all rows were last frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freezing {
    pub age: i64,
    /// At this age autovacuum freezes, also where it is off.
    pub at_most: i64,
}

/// At two thousand million Postgres stops to write.
pub async fn freezing(conn: &mut PgConnection) -> Result<Freezing, DbError> {
    sqlx::query_as!(
        Freezing,
        r#"SELECT age(datfrozenxid)::bigint AS "age!", current_setting('autovacuum_freeze_max_age')::bigint AS "at_most!"
           FROM pg_database WHERE datname = current_database()"#
    )
    .fetch_one(conn)
    .await
    .doing("look at the age of the oldest rows")
}
