//! Postgres itself, what must always hold of its rows, and how old these figures are.

use crate::declared::By::Database;
use crate::declared::{Declared, gauge, of, open};
use crate::names;
use metrics::Unit;

/// Statements about the data whose violations are counted.
const INVARIANTS: &[&str] = &[
    "task_state",
    "task_lease",
    "task_counter",
    "task_family",
    "task_edges",
    "task_blocked",
    "task_worker",
    "task_twice",
    "edge_child",
    "edge_parent",
    "lease_orphaned",
    "job_forgotten",
    "job_ended_open",
    "prediction_forgotten",
    "ledger_open",
    "ledger_closed",
    "ledger_amount",
    "budget_reserved",
    "budget_settled",
    "hold_ended",
];
const HOLDERS: &[&str] = &["transaction", "prepared", "slot", "standby", "nobody"];
const PARTS: &[&str] = &["quick", "thorough"];

pub(super) const ALL: &[Declared] = &[
    gauge(
        names::INVARIANT_VIOLATIONS,
        Database,
        &[of("invariant", INVARIANTS)],
        "Rows that are not as they must be, as the last look found them; must be 0.",
    ),
    gauge(
        names::INVARIANTS_AGE,
        Database,
        &[],
        "Time since that look began: one process takes it each minute for all.",
    )
    .unit(Unit::Seconds),
    gauge(names::POSTGRES_DEAD_ROWS, Database, &[open("table")], "Dead rows of a hot table, as Postgres estimates them."),
    gauge(names::POSTGRES_TABLE_BYTES, Database, &[open("table")], "Size of a hot table with its indexes.").unit(Unit::Bytes),
    gauge(names::POSTGRES_DATABASE_BYTES, Database, &[], "Size of the whole database.").unit(Unit::Bytes),
    gauge(
        names::POSTGRES_OLDEST_TRANSACTION,
        Database,
        &[],
        "Age of the oldest open transaction of this database.",
    )
    .unit(Unit::Seconds),
    gauge(
        names::POSTGRES_PINNED_XMIN,
        Database,
        &[of("holder", HOLDERS), open("application")],
        "For how long whoever needs the oldest row versions has needed them: a transaction, a prepared one, a replication slot or a standby. One series at a time.",
    )
    .unit(Unit::Seconds),
    gauge(
        names::POSTGRES_PINNED_XMIN_TRANSACTIONS,
        Database,
        &[of("holder", HOLDERS), open("application")],
        "The same in transactions, which is known of slots and standbys, too.",
    ),
    gauge(
        names::POSTGRES_NOTIFY_QUEUE,
        Database,
        &[],
        "Share of Postgres' notification queue that is used, 0 to 1.",
    ),
    gauge(names::POSTGRES_REPLICAS, Database, &[], "Standbys that are connected."),
    gauge(
        names::POSTGRES_REPLICATION_LAG,
        Database,
        &[],
        "How far the slowest standby is behind; 0 without one.",
    )
    .unit(Unit::Seconds),
    gauge(names::POSTGRES_CONNECTIONS, Database, &[], "Connections to Postgres, whoever's."),
    gauge(names::POSTGRES_CONNECTIONS_MAX, Database, &[], "Connections that Postgres allows."),
    gauge(
        names::FIGURES_AGE,
        Database,
        &[of("part", PARTS)],
        "Age of the figures of the database: quick ones are worked out every five seconds at most, thorough ones every minute. Missing while the database does not answer.",
    )
    .unit(Unit::Seconds),
    gauge(names::FIGURES_COST, Database, &[of("part", PARTS)], "Time that working them out took.").unit(Unit::Seconds),
];
