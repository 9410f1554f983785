//! Dead letters: tasks that failed for good or were canceled, listed and counted.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Postgres, QueryBuilder, Row, postgres::PgRow};

use super::{sql, state};
use crate::{error::ControlError, id::TaskId, state::TaskState};

/// Which dead tasks are meant. Without more it is all of a state.
///
/// ```
/// # use spool_queue::inspect::Dead;
/// let timeouts = Dead::failed().queue("purchases").error_class("timeout");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a filter does nothing by itself"]
pub struct Dead {
    state: TaskState,
    queue: Option<String>,
    kind: Option<String>,
    group_key: Option<String>,
    error_class: Option<String>,
    since: Option<DateTime<Utc>>,
    before: Option<DateTime<Utc>>,
}

impl Dead {
    const fn of(state: TaskState) -> Self {
        Self { state, queue: None, kind: None, group_key: None, error_class: None, since: None, before: None }
    }

    /// Tasks that failed.
    pub const fn failed() -> Self {
        Self::of(TaskState::Failed)
    }

    /// Tasks that were canceled; by a task that they waited for if their class is `parent`.
    pub const fn canceled() -> Self {
        Self::of(TaskState::Canceled)
    }

    /// Only of this queue.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Only of this kind.
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Only of this group.
    pub fn group_key(mut self, key: impl Into<String>) -> Self {
        self.group_key = Some(key.into());
        self
    }

    /// Only with this class of error.
    pub fn error_class(mut self, class: impl Into<String>) -> Self {
        self.error_class = Some(class.into());
        self
    }

    /// Only what ended at this moment or later.
    pub fn since(mut self, moment: DateTime<Utc>) -> Self {
        self.since = Some(moment);
        self
    }

    /// Only what ended before this moment.
    pub fn before(mut self, moment: DateTime<Utc>) -> Self {
        self.before = Some(moment);
        self
    }

    /// Appends the `where` for the history under the name `h`.
    pub(crate) fn push_where(&self, query: &mut QueryBuilder<Postgres>) {
        // The number itself and no parameter: so the planner sees that the partial indexes fit.
        query.push(format!(" where h.state = {}", self.state.code()));
        let texts = [
            (" and h.queue = ", &self.queue),
            (" and h.kind = ", &self.kind),
            (" and h.group_key = ", &self.group_key),
            (" and h.error_class = ", &self.error_class),
        ];
        for (condition, value) in texts {
            if let Some(value) = value {
                query.push(condition).push_bind(value.clone());
            }
        }
        for (condition, value) in
            [(" and h.finished_at >= ", self.since), (" and h.finished_at < ", self.before)]
        {
            if let Some(value) = value {
                query.push(condition).push_bind(value);
            }
        }
    }
}

/// One dead task, as a line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadTask {
    /// Its number.
    pub id: TaskId,
    /// Its kind.
    pub kind: String,
    /// Its queue.
    pub queue: String,
    /// Failed or canceled.
    pub state: TaskState,
    /// What it belongs to.
    pub group_key: Option<String>,
    /// Attempts that counted.
    pub attempt: u16,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// The word to group errors by.
    pub error_class: Option<String>,
    /// What went wrong last.
    pub error: Option<String>,
    /// Why it was canceled.
    pub why: Option<String>,
}

/// Where a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// When the last task of the page ended.
    pub finished_at: DateTime<Utc>,
    /// Its number.
    pub id: TaskId,
}

/// Some dead tasks, the latest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadPage {
    /// The tasks.
    pub tasks: Vec<DeadTask>,
    /// Where the next page goes on; none on the last one.
    pub next: Option<Cursor>,
}

/// Dead tasks of one kind that died of one class of error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadCount {
    /// The kind.
    pub kind: String,
    /// The class.
    pub error_class: Option<String>,
    /// How many.
    pub tasks: u64,
}

/// Lists dead tasks, the latest first, `limit` of them after `after`.
///
/// ```no_run
/// # async fn example(conn: &mut sqlx::PgConnection) -> Result<(), spool_queue::ControlError> {
/// use spool_queue::inspect::{self, Dead};
/// let mut after = None;
/// loop {
///     let page = inspect::dead(conn, &Dead::failed(), after, 100).await?;
///     for task in &page.tasks {
///         println!("{} {} {:?}", task.id, task.kind, task.error);
///     }
///     after = page.next;
///     if after.is_none() {
///         break;
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When the database refuses.
pub async fn dead(
    conn: &mut PgConnection,
    filter: &Dead,
    after: Option<Cursor>,
    limit: u32,
) -> Result<DeadPage, ControlError> {
    let limit = limit.max(1);
    let mut query = QueryBuilder::new(
        "select h.id, h.kind, h.queue, h.state, h.group_key, h.attempt, h.finished_at, h.error_class, h.error, h.why from queue.task_history h",
    );
    filter.push_where(&mut query);
    if let Some(Cursor { finished_at, id }) = after {
        query.push(" and (h.finished_at, h.id) < (").push_bind(finished_at);
        query.push(", ").push_bind(id.0).push(")");
    }
    query.push(" order by h.finished_at desc, h.id desc limit ").push_bind(i64::from(limit) + 1);
    let rows = query.build().fetch_all(conn).await.map_err(sql("listing dead tasks"))?;
    let mut tasks =
        rows.iter().map(line).collect::<Result<Vec<_>, _>>().map_err(sql("reading a dead task"))?;
    let more = tasks.len() > limit as usize;
    tasks.truncate(limit as usize);
    let next =
        tasks.last().filter(|_| more).map(|task| Cursor { finished_at: task.finished_at, id: task.id });
    Ok(DeadPage { tasks, next })
}

fn line(row: &PgRow) -> Result<DeadTask, sqlx::Error> {
    Ok(DeadTask {
        id: TaskId(row.try_get("id")?),
        kind: row.try_get("kind")?,
        queue: row.try_get("queue")?,
        state: state(row.try_get("state")?),
        group_key: row.try_get("group_key")?,
        attempt: row.try_get::<i16, _>("attempt")?.unsigned_abs(),
        finished_at: row.try_get("finished_at")?,
        error_class: row.try_get("error_class")?,
        error: row.try_get("error")?,
        why: row.try_get("why")?,
    })
}

/// Counts dead tasks by kind and class of error, the most first.
///
/// # Errors
/// When the database refuses.
pub async fn count_dead(conn: &mut PgConnection, filter: &Dead) -> Result<Vec<DeadCount>, ControlError> {
    let mut query =
        QueryBuilder::new("select h.kind, h.error_class, count(*) as tasks from queue.task_history h");
    filter.push_where(&mut query);
    query.push(" group by h.kind, h.error_class order by count(*) desc, h.kind, h.error_class");
    let rows = query.build().fetch_all(conn).await.map_err(sql("counting dead tasks"))?;
    rows.iter()
        .map(|row| {
            Ok(DeadCount {
                kind: row.try_get("kind")?,
                error_class: row.try_get("error_class")?,
                tasks: row.try_get::<i64, _>("tasks")?.unsigned_abs(),
            })
        })
        .collect::<Result<_, _>>()
        .map_err(sql("reading a count of dead tasks"))
}
