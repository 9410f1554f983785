//! What must always hold of the queue's rows. Tasks are looked at in slices, so that a look costs the same in a queue of any length;
//! leases are few and looked at all at once. Nothing is locked.

use sqlx::PgConnection;

use crate::{error::ControlError, id::TaskId};

/// Rows of one invariant that are told at most: more say nothing more.
pub const MOST: i64 = 1000;

/// A task that is not as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// Which invariant: one of [`OF_TASKS`].
    pub invariant: &'static str,
    /// The task, live or (of edges) ended.
    pub task: TaskId,
}

/// A part of all tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// Those that are not as they must be.
    pub broken: Vec<Broken>,
    /// The last that was looked at; none when there is nothing behind it.
    pub last: Option<TaskId>,
}

/// Words of the view `queue.violation`, and what they are called outside.
const WORDS: [(&str, &str); 10] = [
    ("state", "task_state"),
    ("lease", "task_lease"),
    ("counter", "task_counter"),
    ("family", "task_family"),
    ("edges", "task_edges"),
    ("nothing that it waits for is left", "task_blocked"),
    ("edge of a task that has ended", "edge_child"),
    ("edge from a task that has ended", "edge_parent"),
    ("worker", "task_worker"),
    ("in the queue and in the history", "task_twice"),
];

/// The invariants that [`slice`] looks at, one task at a time.
pub const OF_TASKS: [&str; WORDS.len()] = {
    let mut names = [""; WORDS.len()];
    let mut index = 0;
    while index < WORDS.len() {
        names[index] = WORDS[index].1;
        index += 1;
    }
    names
};

fn sql(operation: &'static str) -> impl FnOnce(sqlx::Error) -> ControlError {
    move |source| ControlError::Sql { operation, source }
}

fn broken(task: i64, what: &str) -> Broken {
    // A newer schema may know more words than this program.
    let invariant = WORDS.iter().find(|(word, _)| *word == what).map_or("task_state", |(_, name)| name);
    Broken { invariant, task: TaskId(task) }
}

/// Looks at `most` tasks behind `after`; without it, at the first ones.
///
/// # Errors
/// When the database refuses.
pub async fn slice(conn: &mut PgConnection, after: Option<TaskId>, most: i64) -> Result<Slice, ControlError> {
    const DOING: &str = "looking for rows that are not as they must be";
    let from = after.map_or(i64::MIN, |after| after.0.saturating_add(1));
    let found = sqlx::query!(
        r#"select count(*) as "count!", max(id) as last from (select id from queue.task where id >= $1 order by id limit $2) s"#,
        from,
        most
    )
    .fetch_one(&mut *conn)
    .await
    .map_err(sql(DOING))?;
    // Edges can name tasks beyond the last one that is there.
    let last = found.last.filter(|_| found.count >= most);
    let rows = sqlx::query!(
        r#"select task_id as "task!", what as "what!" from queue.violations($1, $2) limit $3"#,
        from,
        last.unwrap_or(i64::MAX),
        MOST
    )
    .fetch_all(conn)
    .await
    .map_err(sql(DOING))?;
    let broken = rows.iter().map(|row| broken(row.task, &row.what)).collect();
    Ok(Slice { broken, last: last.map(TaskId) })
}

/// What is still wrong with these tasks.
///
/// # Errors
/// When the database refuses.
pub async fn again(conn: &mut PgConnection, tasks: &[i64]) -> Result<Vec<Broken>, ControlError> {
    let rows = sqlx::query!(
        r#"select v.task_id as "task!", v.what as "what!" from unnest($1::bigint[]) i (id) cross join lateral queue.violations(i.id, i.id) v"#,
        tasks
    )
    .fetch_all(conn)
    .await
    .map_err(sql("looking again at rows that were not as they must be"))?;
    Ok(rows.iter().map(|row| broken(row.task, &row.what)).collect())
}

/// Running tasks whose lease or deadline has been over for minutes, and that nobody rescues. Workers rescue within seconds; after the
/// database was away they give each other one lease of time first, so nothing is said before one of them has been heard.
///
/// # Errors
/// When the database refuses.
pub async fn orphaned_leases(conn: &mut PgConnection) -> Result<Vec<TaskId>, ControlError> {
    let tasks = sqlx::query_scalar!(
        r#"select t.id from queue.task t left join queue.worker w on w.id = t.worker_id
           where t.worker_id is not null
             and (w.id is null or w.dead_at < now() - interval '2 minutes'
                  or w.lease_until + (w.lease_until - w.beat_at) < now() - interval '2 minutes'
                  or t.deadline_at < now() - interval '5 minutes')
             and (exists (select from queue.worker l where l.dead_at is null and l.lease_until >= now())
                  or pg_postmaster_start_time() < now() - interval '2 minutes')
           order by t.id limit $1"#,
        MOST
    )
    .fetch_all(conn)
    .await
    .map_err(sql("looking for running tasks that nobody rescues"))?;
    Ok(tasks.into_iter().map(TaskId).collect())
}

/// Which of these groups have no task in the queue.
///
/// # Errors
/// When the database refuses.
pub async fn groups_at_rest(conn: &mut PgConnection, groups: &[String]) -> Result<Vec<String>, ControlError> {
    sqlx::query_scalar!(
        r#"select g as "group!" from unnest($1::text[]) g where not exists (select from queue.task t where t.group_key = g)"#,
        groups
    )
    .fetch_all(conn)
    .await
    .map_err(sql("looking for groups without tasks"))
}

/// Which of these tasks are not in the queue.
///
/// # Errors
/// When the database refuses.
pub async fn not_in_queue(conn: &mut PgConnection, tasks: &[i64]) -> Result<Vec<i64>, ControlError> {
    sqlx::query_scalar!(
        r#"select i as "id!" from unnest($1::bigint[]) i where not exists (select from queue.task t where t.id = i)"#,
        tasks
    )
    .fetch_all(conn)
    .await
    .map_err(sql("looking for tasks that are gone"))
}
