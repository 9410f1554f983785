//! Whether Postgres cleans up after us: the hot tables stay small only as long as it does.

use spool_db::checkup::{self, Freezing, Table};
use sqlx::PgConnection;

use super::finding::or_ok;
use super::{Finding, Findings};

/// Autovacuum is behind when there are so many times more dead rows than make it come, and so many at least.
const BEHIND: f64 = 3.0;
const FEW: i64 = 20_000;
/// Near two thousand million Postgres stops to write.
const OLD: i64 = 1_000_000_000;
const TOO_OLD: i64 = 1_600_000_000;

pub(super) async fn look(conn: &mut PgConnection) -> Findings {
    let server = checkup::server(conn).await?;
    let tables = checkup::tables(conn).await?;
    let mut found = Vec::new();
    if !server.autovacuum {
        found.push(Finding::error(
            "autovacuum is off: tables grow, and claims get slower by the hour",
            "`alter system reset autovacuum; alter system reset track_counts; select pg_reload_conf()`",
        ));
    }
    found.extend(tables.iter().filter_map(judge));
    found.extend(judge_age(checkup::freezing(conn).await?));
    Ok(or_ok(found, || {
        let dead: i64 = tables.iter().map(|table| table.dead).sum();
        format!("autovacuum keeps up: {dead} dead rows in {} tables", tables.len())
    }))
}

fn judge(table: &Table) -> Option<Finding> {
    let Table { name, live, dead, threshold, .. } = table;
    if !table.autovacuum {
        return Some(Finding::warning(
            format!("autovacuum is off for {name} ({dead} dead rows beside {live})"),
            format!("`alter table {name} reset (autovacuum_enabled)`"),
        ));
    }
    if *dead < FEW || (*dead as f64) < threshold * BEHIND {
        return None;
    }
    let since = table.cleaned_s.map_or_else(
        || "it was never cleaned".to_owned(),
        |seconds| format!("it was cleaned {:.0} min ago", seconds / 60.0),
    );
    Some(Finding::warning(
        format!("{name} has {dead} dead rows beside {live}; {since}"),
        format!("if the check xmin names nobody who holds them: `vacuum (verbose) {name}`"),
    ))
}

fn judge_age(Freezing { age, at_most }: Freezing) -> Option<Finding> {
    (age >= OLD.max(2 * at_most)).then(|| {
        let what = format!(
            "the oldest rows are {} million transactions old; at 2000 Postgres stops",
            age / 1_000_000
        );
        Finding::bad_if(age >= TOO_OLD, what, "see the check xmin, then `vacuumdb --all --freeze --jobs 2`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn dead_rows_count_by_what_autovacuum_allows() {
        let table = |dead, threshold, autovacuum| Table {
            name: "queue.task".into(),
            live: 1000,
            dead,
            threshold,
            autovacuum,
            cleaned_s: None,
        };
        assert_eq!(judge(&table(19_999, 10.0, true)), None, "few");
        assert_eq!(judge(&table(50_000, 20_000.0, true)), None, "it will come by itself");
        assert!(judge(&table(60_000, 20_000.0, true)).unwrap().what.contains("never cleaned"));
        assert!(judge(&table(0, 20_000.0, false)).unwrap().what.contains("is off"));
    }

    #[test]
    fn old_rows_are_told_in_time() {
        let severity = |age| judge_age(Freezing { age, at_most: 200_000_000 }).map(|f| f.severity);
        assert_eq!(severity(400_000_000), None);
        assert_eq!(severity(1_000_000_000), Some(Severity::Warning));
        assert_eq!(severity(1_700_000_000), Some(Severity::Error));
    }
}
