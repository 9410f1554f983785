//! Who keeps Postgres from cleaning up: whoever may still read row versions of long ago. Of other users' sessions only a member of
//! `pg_monitor` sees when they began.

use crate::error::{DbError, Doing};
use sqlx::PgConnection;

/// What holds old row versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolderKind {
    Transaction,
    Prepared,
    Slot,
    Standby,
}

/// One that does.
#[derive(Debug, Clone, PartialEq)]
pub struct Holder {
    pub kind: HolderKind,
    /// The session, where it is one.
    pub pid: Option<i32>,
    /// What the session calls itself, or the name of the prepared transaction or of the slot.
    pub name: String,
    /// `idle in transaction` and the like.
    pub state: String,
    /// Seconds since it began, where that is known.
    pub for_s: Option<f64>,
    /// How many transactions old the versions are that it needs; none: it needs none.
    pub transactions: Option<i64>,
    /// Bytes of log that are kept for a slot.
    pub kept_bytes: Option<i64>,
}

/// Transactions and prepared ones that began so many seconds ago or more, and all slots and standbys; the oldest first. Ours is not
/// counted, and neither are the vacuums, which hold nothing up.
pub async fn holders(conn: &mut PgConnection, older_than_s: f64) -> Result<Vec<Holder>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT kind AS "kind!", pid, name AS "name!", state AS "state!", for_s, transactions::bigint AS transactions, kept_bytes::bigint AS kept_bytes
           FROM (
               SELECT 'transaction' AS kind, pid, coalesce(nullif(application_name, ''), 'unnamed') AS name, coalesce(state, 'not visible') AS state,
                      extract(epoch FROM clock_timestamp() - xact_start)::float8 AS for_s,
                      greatest(age(backend_xmin), age(backend_xid)) AS transactions, NULL::numeric AS kept_bytes
               FROM pg_stat_activity
               WHERE backend_type NOT IN ('autovacuum worker', 'walsender') AND pid <> pg_backend_pid()
                 AND datname = current_database() AND xact_start <= clock_timestamp() - make_interval(secs => $1)
               UNION ALL
               SELECT 'prepared', NULL, gid, 'prepared by ' || owner, extract(epoch FROM clock_timestamp() - prepared)::float8, age(transaction), NULL
               FROM pg_prepared_xacts WHERE database = current_database() AND prepared <= clock_timestamp() - make_interval(secs => $1)
               UNION ALL
               SELECT 'slot', active_pid, slot_name, CASE WHEN active THEN 'active' ELSE 'unused' END || coalesce(', log ' || wal_status, ''), NULL,
                      greatest(age(xmin), age(catalog_xmin)),
                      CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) END
               FROM pg_replication_slots
               UNION ALL
               SELECT 'standby', pid, coalesce(nullif(application_name, ''), 'unnamed'), coalesce(state, 'not visible'), NULL, age(backend_xmin), NULL
               FROM pg_stat_replication) held
           ORDER BY for_s DESC NULLS LAST, transactions DESC NULLS LAST LIMIT 100"#,
        older_than_s
    )
    .fetch_all(conn)
    .await
    .doing("look who keeps Postgres from cleaning up")?;
    Ok(rows
        .into_iter()
        .map(|row| Holder {
            kind: match row.kind.as_str() {
                "transaction" => HolderKind::Transaction,
                "prepared" => HolderKind::Prepared,
                "slot" => HolderKind::Slot,
                _ => HolderKind::Standby,
            },
            pid: row.pid,
            name: row.name,
            state: row.state,
            for_s: row.for_s,
            transactions: row.transactions,
            kept_bytes: row.kept_bytes,
        })
        .collect())
}
