//! Postgres itself: how careful it is with what was committed, and how many connections are left.

use spool_db::checkup::{self, Connections, Server};
use sqlx::PgConnection;

use super::finding::or_ok;
use super::{Finding, Findings};

/// Shares of the connections that are used.
const MANY: f64 = 0.8;
const TOO_MANY: f64 = 0.95;
/// Share of the notification queue; when it is full, commits that notify fail.
const NOTIFICATIONS: f64 = 0.3;

pub(super) async fn look(conn: &mut PgConnection) -> Findings {
    Ok(judge(&checkup::server(conn).await?))
}

fn judge(server: &Server) -> Vec<Finding> {
    let mut found = Vec::new();
    if server.is_standby {
        found.push(Finding::error(
            "this is a standby: nothing can be written here",
            "point `DATABASE_URL` at the primary",
        ));
    }
    let (careless, late): (Vec<&String>, Vec<&String>) =
        server.unsafe_settings.iter().partition(|setting| !setting.starts_with("synchronous_commit"));
    let list =
        |settings: Vec<&String>| settings.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    if !careless.is_empty() {
        found.push(Finding::error(
            format!("a crash of the machine can destroy the database: {}", list(careless)),
            "`alter system reset fsync; alter system reset full_page_writes`, then restart Postgres",
        ));
    }
    if !late.is_empty() {
        found.push(Finding::warning(
            format!("a crash of the machine loses what was committed last: {}", list(late)),
            "`alter system reset synchronous_commit; select pg_reload_conf()`",
        ));
    }
    if !server.sees_all {
        found.push(Finding::note(format!(
            "{} is no member of pg_monitor: what other users' sessions hold up is not seen",
            server.role
        )));
    }
    or_ok(found, || {
        format!("Postgres {}, database {}, user {}", server.version, server.database, server.role)
    })
}

pub(super) async fn connections(conn: &mut PgConnection) -> Findings {
    Ok(judge_connections(&checkup::connections(conn).await?))
}

fn judge_connections(connections: &Connections) -> Vec<Finding> {
    let Connections { allowed, used, by_application, notify_queue } = connections;
    let share = *used as f64 / (*allowed).max(1) as f64;
    let whose: Vec<String> = by_application.iter().map(|(name, n)| format!("{name} {n}")).collect();
    let what = format!("{used} of {allowed} connections are used ({})", whose.join(", "));
    let mut found = vec![if share >= MANY {
        let todo = "lower `SPOOL_DB_POOL`, put a PgBouncer before Postgres (`SPOOL_PGBOUNCER=true`), or raise `max_connections`";
        Finding::bad_if(share >= TOO_MANY, what, todo)
    } else {
        Finding::ok(what)
    }];
    if *notify_queue > NOTIFICATIONS {
        found.push(Finding::warning(
            format!("the notification queue is full to {:.0} %; commits fail when it is full", notify_queue * 100.0),
            "end the session that listens in a transaction: see the check xmin, then `select pg_terminate_backend(PID)`",
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn connections_run_out_by_degrees() {
        for (used, severity) in [(10, Severity::Ok), (80, Severity::Warning), (95, Severity::Error)] {
            let connections = Connections { allowed: 100, used, ..Connections::default() };
            assert_eq!(judge_connections(&connections)[0].severity, severity, "{used}");
        }
        let full = Connections { allowed: 100, notify_queue: 0.5, ..Connections::default() };
        assert_eq!(judge_connections(&full)[1].severity, Severity::Warning);
    }

    #[test]
    fn a_server_that_forgets_is_told() {
        let server = |unsafe_settings: &[&str], is_standby, sees_all| Server {
            version: "15.8".into(),
            version_num: 150_008,
            database: "spool".into(),
            role: "spool".into(),
            is_standby,
            sees_all,
            unsafe_settings: unsafe_settings.iter().map(|text| (*text).to_owned()).collect(),
            autovacuum: true,
            now: chrono::DateTime::UNIX_EPOCH,
        };
        let severities = |server: &Server| judge(server).iter().map(|f| f.severity).collect::<Vec<_>>();
        assert_eq!(severities(&server(&[], false, true)), [Severity::Ok]);
        assert_eq!(severities(&server(&[], false, false)), [Severity::Note]);
        assert_eq!(severities(&server(&["synchronous_commit=off"], false, true)), [Severity::Warning]);
        assert_eq!(
            severities(&server(&["fsync=off", "synchronous_commit=off"], true, true)),
            [Severity::Error, Severity::Error, Severity::Warning]
        );
    }
}
