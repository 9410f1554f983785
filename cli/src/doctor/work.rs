//! Who works, on what, and what waits for nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use spool_job::tasks::{PAYLOAD_VERSION, TaskKind};
use spool_queue::inspect::{self, Dead, KindView, WorkerView};
use sqlx::PgConnection;

use super::finding::or_ok;
use super::{Finding, Findings};

const START: &str = "start one: `spool-worker`";
/// A ready task that has waited so long has nobody to take it.
const LONG: Duration = Duration::from_secs(900);
const DAY: chrono::TimeDelta = chrono::TimeDelta::days(1);

pub(super) async fn workers(conn: &mut PgConnection) -> Findings {
    Ok(judge_workers(&inspect::workers(conn).await?, &inspect::kinds(conn).await?))
}

fn judge_workers(workers: &[WorkerView], kinds: &[KindView]) -> Vec<Finding> {
    let waiting: i64 = kinds.iter().map(|kind| kind.tasks).sum();
    if workers.is_empty() {
        let what = format!("no worker is alive; {waiting} tasks wait");
        return vec![Finding::bad_if(waiting > 0, what, START)];
    }
    let serves = |queue: &str| {
        workers.iter().any(|worker| worker.slots.get(queue).and_then(serde_json::Value::as_i64) > Some(0))
    };
    // What waits in each queue, also in those that only this program knows.
    let mut queues: BTreeMap<&str, (i64, BTreeSet<&str>)> = BTreeMap::new();
    for kind in TaskKind::ALL {
        queues.entry(kind.queue()).or_default().1.insert(kind.as_str());
    }
    for KindView { queue, kind, tasks, .. } in kinds {
        let (waiting, names) = queues.entry(queue).or_default();
        *waiting += tasks;
        names.insert(kind);
    }
    let unserved = queues.iter().filter(|(queue, _)| !serves(queue));
    let found = unserved.map(|(queue, (waiting, kinds))| {
        let kinds = kinds.iter().copied().collect::<Vec<_>>().join(", ");
        let what =
            format!("no live worker serves the queue {queue} ({kinds}), in which {waiting} tasks wait");
        Finding::bad_if(*waiting > 0, what, START)
    });
    or_ok(found.collect(), || {
        let running: i64 = workers.iter().map(|worker| worker.running).sum();
        format!("{} workers are alive and run {running} tasks", workers.len())
    })
}

pub(super) async fn kinds(conn: &mut PgConnection) -> Findings {
    let kinds = inspect::kinds(conn).await?;
    let found = kinds.iter().filter_map(judge_kind).collect();
    Ok(or_ok(found, || format!("all {} kinds of tasks are known", kinds.len())))
}

fn judge_kind(view: &KindView) -> Option<Finding> {
    let KindView { queue, kind, version, tasks, strange } = view;
    let known = kind.parse::<TaskKind>().is_ok() && *version <= PAYLOAD_VERSION;
    if known && *strange == 0 {
        return None;
    }
    let aside = match strange {
        0 => String::new(),
        _ => format!("; workers have put {strange} of them aside because they cannot do them"),
    };
    let what = if known {
        format!("{tasks} tasks of the kind {kind} (queue {queue}){aside}")
    } else {
        format!(
            "{tasks} tasks of the kind {kind}, version {version} (queue {queue}), which this program does not know{aside}"
        )
    };
    let todo = format!(
        "start workers of the build that made them, or cancel them: `select queue.cancel(array(select id from queue.task where kind = '{kind}'), 'unknown')`"
    );
    Some(Finding::bad_if(*strange > 0, what, todo))
}

pub(super) async fn backlog(conn: &mut PgConnection) -> Findings {
    let mut found = Vec::new();
    let stats = inspect::stats(conn).await?;
    for queue in &stats {
        let name = &queue.queue;
        if let Some(why) = &queue.paused {
            found.push(Finding::note(format!("the queue {name} is paused: {why}")));
        } else if queue.oldest_ready > LONG.as_secs_f64() {
            found.push(Finding::warning(
                format!(
                    "{} tasks of the queue {name} are ready, the oldest for {:.0} min",
                    queue.ready,
                    queue.oldest_ready / 60.0
                ),
                "start more workers (`spool-worker`); `spool explain JOB` says what holds one back",
            ));
        }
    }
    let now = spool_db::limits::now(conn).await?;
    let dead = inspect::count_dead(conn, &Dead::failed().since(now - DAY)).await?;
    let failed: u64 = dead.iter().map(|count| count.tasks).sum();
    if failed > 0 {
        let most: Vec<String> =
            dead.iter().take(3).map(|count| format!("{} {}", count.tasks, count.kind)).collect();
        found.push(Finding::note(format!(
            "{failed} tasks failed for good in the last 24 hours ({})",
            most.join(", ")
        )));
    }
    let waiting: i64 = stats.iter().map(|queue| queue.ready).sum();
    Ok(or_ok(found, || format!("{waiting} tasks are ready, none of them for long")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn strangers_are_told_by_whether_somebody_has_met_them() {
        let view = |kind: &str, version, strange| KindView {
            queue: "light".into(),
            kind: kind.into(),
            version,
            tasks: 3,
            strange,
        };
        let severity = |view: &KindView| judge_kind(view).map(|finding| finding.severity);
        assert_eq!(severity(&view("close", PAYLOAD_VERSION, 0)), None);
        assert_eq!(severity(&view("close", PAYLOAD_VERSION + 1, 0)), Some(Severity::Warning));
        assert_eq!(severity(&view("mystery", 1, 0)), Some(Severity::Warning));
        assert_eq!(severity(&view("mystery", 1, 2)), Some(Severity::Error));
        assert_eq!(severity(&view("close", PAYLOAD_VERSION, 2)), Some(Severity::Error));
    }
}
