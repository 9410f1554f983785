//! What must always hold: of the queue by itself, of money by itself, and of both together. One module for the watchdog that looks once a
//! minute for the whole fleet, for `spool doctor`, and through it for the tests.

use std::collections::BTreeMap;
use std::time::Instant;

use spool_db::invariants::{self as ours, Base, Broken, Budgets, Found, Kept, Place};
use spool_job::tasks::group_key;
use spool_queue::{TaskId, invariants as queue};
use sqlx::PgConnection;

use crate::ExplainError;

/// Seconds between two rounds, of whichever process.
pub const PERIOD_S: f64 = 60.0;
/// Tasks and purchases of the past that one round looks at.
const SLICE: i64 = 5000;
/// The same for a look at everything.
const LARGE_SLICE: i64 = 20_000;
/// Slices of the ledger that one round sums up while a base is worked out.
const LEDGER_SLICES: usize = 3;

/// A statement that must hold, and what to say when it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invariant {
    /// The label of its metric.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// What is wrong where it does not hold.
    pub broken: &'static str,
    /// What to do then.
    pub todo: &'static str,
}

const BY_HAND: &str = "a bug, or rows changed by hand: keep what `select * from queue.violation` shows";
const WAKE: &str = "cancel its job and try it again: `curl -X POST $api/jobs/JOB/cancel`, then `/retry`";
const BOOKS: &str = "stop spending until it is understood: `spool budget stop \"books differ\"`";

/// All of them.
pub const ALL: [Invariant; 20] = [
    of("task_state", "queue", "tasks in a state that there is not", BY_HAND),
    of("task_lease", "queue", "tasks with half a lease", BY_HAND),
    of("task_counter", "queue", "tasks with counters that cannot be", BY_HAND),
    of("task_family", "queue", "tasks whose list of parents is torn", BY_HAND),
    of("task_edges", "queue", "tasks that wait for more or fewer others than they say", BY_HAND),
    of(
        "task_blocked",
        "queue",
        "blocked tasks of which all parents are done: nothing will ever start them",
        WAKE,
    ),
    of("task_worker", "queue", "tasks of workers that there are not", BY_HAND),
    of("task_twice", "queue", "tasks that are in the queue and in its history", BY_HAND),
    of("edge_child", "queue", "tasks that have ended and still wait for others", BY_HAND),
    of("edge_parent", "queue", "tasks that have ended and that others still wait for", BY_HAND),
    of(
        "lease_orphaned",
        "leases",
        "running tasks whose worker is gone, or whose time is long over, and that nobody rescues",
        "start a worker (`spool-worker`); if one runs, its log says why it cannot rescue them",
    ),
    of("job_forgotten", "jobs", "jobs on their way without a task in the queue", WAKE),
    of(
        "job_ended_open",
        "jobs",
        "jobs that have ended although something of them is still being bought",
        "look at them: `spool predictions list --state submitted`",
    ),
    of("prediction_forgotten", "jobs", "purchases under way that no task looks after", WAKE),
    of(
        "ledger_open",
        "ledger",
        "purchases under way whose price is not held in the ledger, or settled already",
        BOOKS,
    ),
    of(
        "ledger_closed",
        "ledger",
        "purchases that are over and neither settled nor released in the ledger",
        BOOKS,
    ),
    of("ledger_amount", "ledger", "purchases of which the ledger says another amount than their row", BOOKS),
    of(
        "budget_reserved",
        "budgets",
        "budgets that hold more or less than the purchases they hold it for",
        BOOKS,
    ),
    of("budget_settled", "budgets", "budgets that have settled more or less than the ledger", BOOKS),
    of("hold_ended", "budgets", "purchases that are over and for which money is still held", BOOKS),
];

const fn of(name: &'static str, about: &'static str, broken: &'static str, todo: &'static str) -> Invariant {
    Invariant { name, about, broken, todo }
}

/// Takes the next round if it is due and nobody else is at it; says what was found. The caller's transaction holds the round.
///
/// # Errors
/// When the database refuses, or needs more than two seconds for one statement.
pub async fn round(conn: &mut PgConnection) -> Result<Option<Found>, ExplainError> {
    if !ours::claim(conn, PERIOD_S).await? {
        return Ok(None);
    }
    let begin = Instant::now();
    let mut kept = ours::kept(conn).await?;
    let before = std::mem::take(&mut kept.found);
    let mut gathered = under_way(conn).await?;
    the_past(conn, &before, &mut kept.place, &mut gathered).await?;
    let broken = budgets(conn, &mut kept.bases, LEDGER_SLICES).await?;
    gathered.add(broken);
    kept.found = gathered.0;
    ours::keep(conn, &kept, begin.elapsed().as_secs_f64()).await?;
    Ok(Some(kept.found))
}

/// What the last round found, and how old that is in seconds.
///
/// # Errors
/// When the database refuses.
pub async fn last(conn: &mut PgConnection) -> Result<(Found, f64), ExplainError> {
    let Kept { found, age_s, .. } = ours::kept(conn).await?;
    Ok((found, age_s))
}

/// Looks at everything at once; with `quick`, not at purchases that are over. Many statements, each of them short; nothing is written.
///
/// # Errors
/// When the database refuses.
pub async fn everything(conn: &mut PgConnection, quick: bool) -> Result<Found, ExplainError> {
    let mut gathered = under_way(conn).await?;
    let mut after = None;
    loop {
        let slice = queue::slice(conn, after, LARGE_SLICE).await?;
        gathered.add_tasks(slice.broken);
        after = slice.last;
        if after.is_none() {
            break;
        }
    }
    if quick {
        return Ok(gathered.0);
    }
    let mut after = None;
    loop {
        let slice = ours::slice(conn, after, LARGE_SLICE).await?;
        gathered.add(slice.broken);
        after = slice.last;
        if after.is_none() {
            break;
        }
    }
    let broken = budgets(conn, &mut Vec::new(), usize::MAX).await?;
    gathered.add(broken);
    Ok(gathered.0)
}

/// What depends on what is under way only, and is looked at as a whole.
async fn under_way(conn: &mut PgConnection) -> Result<Gathered, ExplainError> {
    let mut gathered = Gathered::default();
    let orphaned = queue::orphaned_leases(conn).await?;
    gathered.add_tasks(orphaned.into_iter().map(|task| queue::Broken { invariant: "lease_orphaned", task }));
    gathered.add(forgotten(conn).await?);
    gathered.add(ours::ended_open(conn).await?);
    gathered.add(ours::open(conn).await?);
    gathered.add(ours::recent(conn).await?);
    gathered.add(ours::held(conn).await?);
    gathered.add(ours::hold_ended(conn).await?);
    Ok(gathered)
}

/// Jobs and purchases under way that the queue knows nothing of. A purchase is also looked after by whatever else its job has in the
/// queue: its last task hands on what nobody is at.
async fn forgotten(conn: &mut PgConnection) -> Result<Vec<Broken>, ExplainError> {
    let mut suspects = ours::suspects(conn).await?;
    let jobs = suspects.purchases.iter().map(|(_, job, _)| job).chain(&suspects.jobs);
    let mut groups: Vec<String> = jobs.map(|job| group_key(*job)).collect();
    groups.sort_unstable();
    groups.dedup();
    let at_rest = queue::groups_at_rest(conn, &groups).await?;
    let is_at_rest = |job: &i64| at_rest.contains(&group_key(*job));
    suspects.jobs.retain(is_at_rest);
    suspects.purchases.retain(|(_, job, _)| is_at_rest(job));
    let tasks: Vec<i64> = suspects.purchases.iter().map(|(.., task)| *task).collect();
    let gone = queue::not_in_queue(conn, &tasks).await?;
    suspects.purchases.retain(|(.., task)| gone.contains(task));
    Ok(ours::still_forgotten(conn, &suspects).await?)
}

/// The next slices of tasks and of purchases, and again what was found in earlier ones.
async fn the_past(
    conn: &mut PgConnection,
    before: &Found,
    place: &mut Place,
    gathered: &mut Gathered,
) -> Result<(), ExplainError> {
    let tasks = queue::slice(conn, place.task.map(TaskId), SLICE).await?;
    place.task = tasks.last.map(|task| task.0);
    gathered.add_tasks(tasks.broken);
    let known = subjects(before, &queue::OF_TASKS);
    gathered.add_tasks(queue::again(conn, &known).await?);

    let purchases = ours::slice(conn, place.purchase, SLICE).await?;
    place.purchase = purchases.last;
    gathered.add(purchases.broken);
    let known = subjects(before, &["ledger_open", "ledger_closed", "ledger_amount"]);
    gathered.add(ours::again(conn, &known).await?);
    Ok(())
}

async fn budgets(
    conn: &mut PgConnection,
    bases: &mut Vec<Base>,
    slices: usize,
) -> Result<Vec<Broken>, ExplainError> {
    let budgets = Budgets::read(conn).await?;
    budgets.fit(bases);
    for _ in 0..slices {
        if !ours::next_slice(conn, &budgets, bases).await? {
            break;
        }
    }
    Ok(ours::settled(conn, &budgets, bases).await?)
}

fn subjects<T: std::str::FromStr>(found: &Found, invariants: &[&str]) -> Vec<T> {
    let known = invariants.iter().filter_map(|invariant| found.get(*invariant)).flatten();
    known.filter_map(|subject| subject.parse().ok()).collect()
}

/// Each row once, however often it was looked at.
#[derive(Debug, Default)]
struct Gathered(BTreeMap<String, Vec<String>>);

impl Gathered {
    fn add(&mut self, broken: Vec<Broken>) {
        for Broken { invariant, subject } in broken {
            self.put(invariant, subject);
        }
    }

    fn add_tasks(&mut self, broken: impl IntoIterator<Item = queue::Broken>) {
        for queue::Broken { invariant, task } in broken {
            self.put(invariant, task.0.to_string());
        }
    }

    fn put(&mut self, invariant: &str, subject: String) {
        let subjects = self.0.entry(invariant.to_owned()).or_default();
        if subjects.len() < ours::MOST as usize && !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_of_its_own_and_a_remedy() {
        for (index, one) in ALL.iter().enumerate() {
            assert!(ALL[index + 1..].iter().all(|other| other.name != one.name), "{}", one.name);
            assert!(!one.broken.ends_with('.') && one.todo.contains('`'), "{}", one.name);
        }
        for name in queue::OF_TASKS {
            assert!(ALL.iter().any(|one| one.name == name), "{name}");
        }
    }
}
