//! Postgres itself. Of other users' sessions it tells only a member of `pg_monitor` when they began.

use crate::error::{DbError, Doing};
use sqlx::PgConnection;

/// Who needs the oldest row versions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pinned {
    /// `transaction`, `prepared`, `slot` or `standby`.
    pub holder: String,
    /// What it calls itself.
    pub application: String,
    /// Seconds since it began, where that is known.
    pub for_s: Option<f64>,
    /// Transactions since.
    pub transactions: i64,
}

/// How the server stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Postgres {
    /// Nobody needs old versions when there is none.
    pub pinned: Option<Pinned>,
    /// Age of the oldest transaction of this database, in seconds.
    pub oldest_s: f64,
    /// 0 to 1.
    pub notify_queue: f64,
    pub replicas: i64,
    /// Of the slowest, in seconds.
    pub lag_s: f64,
    pub connections: i64,
    pub most_connections: i64,
}

/// Reads it; our own transaction is not counted.
pub async fn postgres(conn: &mut PgConnection) -> Result<Postgres, DbError> {
    const DOING: &str = "look how Postgres stands";
    let pinned = sqlx::query!(
        r#"SELECT holder AS "holder!", coalesce(application, '') AS "application!", for_s, transactions::bigint AS "transactions!" FROM (
               SELECT 'transaction' AS holder, application_name AS application, extract(epoch FROM now() - xact_start)::float8 AS for_s,
                      greatest(age(backend_xmin), age(backend_xid)) AS transactions
               FROM pg_stat_activity
               WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
               UNION ALL
               SELECT 'prepared', owner, extract(epoch FROM now() - prepared)::float8, age(transaction)
               FROM pg_prepared_xacts WHERE database = current_database()
               UNION ALL
               SELECT 'slot', slot_name, NULL, age(xmin) FROM pg_replication_slots
               UNION ALL
               SELECT 'standby', application_name, NULL, age(backend_xmin) FROM pg_stat_replication) held
           WHERE transactions IS NOT NULL ORDER BY transactions DESC, for_s DESC NULLS LAST LIMIT 1"#
    )
    .fetch_optional(&mut *conn)
    .await
    .doing(DOING)?;
    let server = sqlx::query!(
        r#"SELECT coalesce(max(extract(epoch FROM now() - xact_start)) FILTER (WHERE datname = current_database() AND pid <> pg_backend_pid()), 0)::float8
                      AS "oldest_s!",
                  count(*) AS "connections!", current_setting('max_connections')::bigint AS "most!", pg_notification_queue_usage() AS "notify!",
                  (SELECT count(*) FROM pg_stat_replication) AS "replicas!",
                  (SELECT coalesce(max(extract(epoch FROM replay_lag)), 0)::float8 FROM pg_stat_replication) AS "lag_s!"
           FROM pg_stat_activity WHERE backend_type = 'client backend'"#
    )
    .fetch_one(conn)
    .await
    .doing(DOING)?;
    Ok(Postgres {
        pinned: pinned.map(|row| Pinned {
            holder: row.holder,
            application: row.application,
            for_s: row.for_s,
            transactions: row.transactions,
        }),
        oldest_s: server.oldest_s,
        notify_queue: server.notify,
        replicas: server.replicas,
        lag_s: server.lag_s,
        connections: server.connections,
        most_connections: server.most,
    })
}

/// A table that changes all the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// With its schema, but for `public`.
    pub name: String,
    /// As Postgres estimates them.
    pub dead_rows: i64,
    /// With its indexes.
    pub bytes: i64,
}

/// The hot tables, and the bytes of the whole database.
pub async fn tables(conn: &mut PgConnection) -> Result<(Vec<Table>, i64), DbError> {
    const DOING: &str = "look how large the tables are";
    let rows = sqlx::query!(
        r#"SELECT CASE schemaname WHEN 'public' THEN relname ELSE schemaname || '.' || relname END AS "name!", n_dead_tup AS "dead!",
                  pg_total_relation_size(relid) AS "bytes!"
           FROM pg_stat_user_tables
           WHERE schemaname = 'queue' AND relname IN ('task', 'edge', 'worker', 'queue', 'share', 'progress', 'hold', 'duty')
              OR schemaname = 'public' AND relname IN ('jobs', 'scenes', 'predictions', 'job_events', 'ledger', 'budget_periods', 'budget_holds',
                  'spend_waits', 'limit_waits', 'provider_limits', 'breakers', 'breaker_outcomes', 'idempotency_keys', 'figures')
           ORDER BY 1"#
    )
    .fetch_all(&mut *conn)
    .await
    .doing(DOING)?;
    let whole = sqlx::query_scalar!(r#"SELECT pg_database_size(current_database()) AS "bytes!""#)
        .fetch_one(conn)
        .await
        .doing(DOING)?;
    let tables = rows.into_iter().map(|row| Table { name: row.name, dead_rows: row.dead, bytes: row.bytes });
    Ok((tables.collect(), whole))
}
