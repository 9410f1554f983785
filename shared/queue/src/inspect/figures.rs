//! Figures of the whole queue for whoever watches it: two short statements, whose cost depends on what is in the queue and never on
//! the history.

use sqlx::PgConnection;

use super::{sql, state};
use crate::{error::ControlError, state::TaskState};

/// Tasks of one kind in one state.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskCount {
    /// Their queue.
    pub queue: String,
    /// Their kind.
    pub kind: String,
    /// Where they stand.
    pub state: TaskState,
    /// How many.
    pub tasks: i64,
    /// Seconds that the oldest of them has been ready; 0 in any other state.
    pub oldest_ready: f64,
}

/// One queue and who serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Its name.
    pub queue: String,
    /// Live workers with slots for it.
    pub workers: i64,
    /// Their slots together.
    pub slots: i64,
    /// Nothing of it is claimed.
    pub paused: bool,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures {
    /// By queue, kind and state, most first; at most 200 of them.
    pub tasks: Vec<TaskCount>,
    /// Every queue that has a worker or was ever paused or limited.
    pub queues: Vec<Served>,
}

/// Counts the tasks that are not final, and the workers.
///
/// # Errors
/// When the database refuses.
pub async fn figures(conn: &mut PgConnection) -> Result<Figures, ControlError> {
    let tasks = sqlx::query!(
        r#"select queue, kind, state, count(*) as "tasks!",
                  case when state = 0 then greatest(extract(epoch from now() - min(run_at)), 0) else 0 end::float8 as "oldest!"
           from queue.task group by queue, kind, state order by count(*) desc limit 200"#
    )
    .fetch_all(&mut *conn)
    .await
    .map_err(sql("counting the tasks"))?;
    let queues = sqlx::query!(
        r#"select coalesce(q.name, s.queue) as "queue!", coalesce(s.workers, 0) as "workers!", coalesce(s.slots, 0)::bigint as "slots!",
                  q.paused_at is not null as "paused!"
           from queue.queue q
           full join (select slot.key as queue, count(*) as workers, sum(slot.value::bigint) as slots
                      from queue.worker w cross join lateral jsonb_each_text(w.slots) slot
                      where w.dead_at is null and w.stopped_at is null and w.lease_until >= now() group by slot.key) s on s.queue = q.name
           order by 1 limit 200"#
    )
    .fetch_all(conn)
    .await
    .map_err(sql("counting the workers"))?;
    Ok(Figures {
        tasks: tasks
            .into_iter()
            .map(|row| TaskCount {
                queue: row.queue,
                kind: row.kind,
                state: state(row.state),
                tasks: row.tasks,
                oldest_ready: row.oldest,
            })
            .collect(),
        queues: queues
            .into_iter()
            .map(|row| Served {
                queue: row.queue,
                workers: row.workers,
                slots: row.slots,
                paused: row.paused,
            })
            .collect(),
    })
}
