//! Who keeps Postgres from cleaning up. While somebody may still read rows of long ago no table is cleaned, and the queue grows slow.

use spool_db::checkup::{self, Holder, HolderKind};
use sqlx::PgConnection;

use super::finding::or_ok;
use super::{Finding, Findings};

/// So many times longer than it may take, a transaction is an error.
const TOO_LONG: f64 = 6.0;
/// Transactions since, where no time is known.
const FAR: i64 = 1_000_000;
/// Log that is kept for a slot.
const MUCH_LOG: i64 = 10_000_000_000;

/// `long`: seconds that a transaction may take.
pub(super) async fn look(conn: &mut PgConnection, long: u32) -> Findings {
    let holders = checkup::holders(conn, f64::from(long)).await?;
    let found = holders.iter().filter_map(|holder| judge(holder, f64::from(long))).collect();
    Ok(or_ok(found, || "nobody keeps Postgres from cleaning up".to_owned()))
}

fn judge(holder: &Holder, long: f64) -> Option<Finding> {
    let Holder { kind, name, state, for_s, transactions, kept_bytes, .. } = holder;
    let seconds = for_s.unwrap_or_default();
    let minutes = (seconds / 60.0).floor();
    let (is_long, too_long) = (seconds >= long, seconds >= long * TOO_LONG);
    let far = transactions.is_some_and(|transactions| transactions >= FAR);
    match kind {
        HolderKind::Transaction => {
            let pid = holder.pid.unwrap_or_default();
            let what =
                format!("session {pid} of {name} ({state}) has been in one transaction for {minutes} min");
            let todo = format!("end it if nobody needs it: `select pg_terminate_backend({pid})`");
            is_long.then(|| Finding::bad_if(too_long, what, todo))
        }
        HolderKind::Prepared => {
            let what = format!(
                "the transaction {name} ({state}) has been waiting for its second phase for {minutes} min"
            );
            let todo = format!("if nobody will finish it: `rollback prepared '{name}'`");
            is_long.then(|| Finding::bad_if(too_long, what, todo))
        }
        HolderKind::Slot => {
            let kept = kept_bytes.filter(|bytes| *bytes >= MUCH_LOG);
            let is_lost = state.contains("lost") || state.contains("unreserved");
            let unused = state.starts_with("unused");
            if !(far || kept.is_some() || is_lost || unused) {
                return None;
            }
            let log = kept
                .map(|bytes| format!(", and keeps {} GB of log", bytes / 1_000_000_000))
                .unwrap_or_default();
            let what = format!("the replication slot {name} is {state}{log}");
            if !(far || kept.is_some() || is_lost || transactions.is_some()) {
                return Some(Finding::note(what));
            }
            let todo =
                format!("ask whose it is; if it is nobody's: `select pg_drop_replication_slot('{name}')`");
            Some(Finding::warning(what, todo))
        }
        HolderKind::Standby => {
            let what = format!(
                "the standby {name} needs rows of {} transactions ago",
                transactions.unwrap_or_default()
            );
            let todo = "end the long query there: `select pid, now() - xact_start, application_name from pg_stat_activity`";
            far.then(|| Finding::warning(what, todo))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HolderKind::{Prepared, Slot, Standby, Transaction};
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn time_and_distance_make_it_worse() {
        let holder = |kind, state: &str, for_s, transactions, kept_bytes| Holder {
            kind,
            pid: Some(7),
            name: "it".into(),
            state: state.into(),
            for_s,
            transactions,
            kept_bytes,
        };
        for (holder, severity) in [
            (holder(Transaction, "active", Some(599.0), Some(5), None), None),
            (holder(Transaction, "idle in transaction", Some(600.0), None, None), Some(Severity::Warning)),
            (holder(Transaction, "active", Some(3600.0), Some(5), None), Some(Severity::Error)),
            (holder(Prepared, "prepared by x", Some(700.0), Some(5), None), Some(Severity::Warning)),
            (holder(Slot, "active", None, Some(5), Some(1000)), None),
            (holder(Slot, "unused", None, None, Some(1000)), Some(Severity::Note)),
            (holder(Slot, "unused", None, Some(5), Some(1000)), Some(Severity::Warning)),
            (holder(Slot, "active", None, None, Some(MUCH_LOG)), Some(Severity::Warning)),
            (holder(Standby, "streaming", None, Some(FAR), None), Some(Severity::Warning)),
            (holder(Standby, "streaming", None, Some(5), None), None),
        ] {
            assert_eq!(judge(&holder, 600.0).map(|finding| finding.severity), severity, "{holder:?}");
        }
    }
}
