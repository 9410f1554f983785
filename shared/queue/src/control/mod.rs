//! Commands to the queue, in the caller's transaction: cancel, wake, snooze, pause, drain, retry.

mod queues;
mod retry;
mod timing;

use sqlx::PgConnection;

pub use queues::{Draining, drain, drained, draining, pause, resume};
pub use retry::{DryRun, Reach, Retried, retry, retry_dry_run, retry_where};
pub use timing::{Moved, run_now, snooze};

use crate::{bell::Bell, error::ControlError, id::TaskId};

fn sql(operation: &'static str) -> impl FnOnce(sqlx::Error) -> ControlError {
    move |source| ControlError::Sql { operation, source }
}

/// What a cancel did.
#[derive(Debug)]
pub struct Canceled {
    /// Tasks that ended at once. Tasks that waited for them are canceled too but not listed.
    pub ended: Vec<TaskId>,
    /// Running tasks that were asked to stop; they end as soon as their handler does.
    pub asked: Vec<TaskId>,
    /// To be rung after the commit, so that running tasks hear of it at once.
    pub bell: Bell,
}

/// What a wake did.
#[derive(Debug)]
pub struct Woken {
    /// The effect.
    pub effect: Wake,
    /// To be rung after the commit.
    pub bell: Bell,
}

/// The effect of a wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// It was parked and is ready now.
    Ready,
    /// It is running; when it parks it will be ready at once.
    Noted,
    /// It is neither parked nor running: there was nothing to do.
    NotWaiting,
}

/// Cancels one task: a running one is asked to stop, any other ends now, and what waits for it by `Cancel` edges too.
///
/// # Errors
/// When the database refuses.
pub async fn cancel_task(conn: &mut PgConnection, task: TaskId, why: &str) -> Result<Canceled, ControlError> {
    cancel(conn, vec![task.0], why).await
}

/// Cancels these tasks as [`cancel_task`] does one, all in one order of locks.
///
/// # Errors
/// When the database refuses.
pub async fn cancel_tasks(
    conn: &mut PgConnection,
    tasks: &[TaskId],
    why: &str,
) -> Result<Canceled, ControlError> {
    cancel(conn, tasks.iter().map(|task| task.0).collect(), why).await
}

/// Cancels all tasks of a group. Tasks that are enqueued into the group at the same time are not seen: hold a lock on what the group stands for.
///
/// # Errors
/// When the database refuses.
pub async fn cancel_group(
    conn: &mut PgConnection,
    group_key: &str,
    why: &str,
) -> Result<Canceled, ControlError> {
    let ids = sqlx::query_scalar!("select id from queue.task where group_key = $1", group_key)
        .fetch_all(&mut *conn)
        .await
        .map_err(sql("listing the group to cancel"))?;
    cancel(conn, ids, why).await
}

async fn cancel(conn: &mut PgConnection, ids: Vec<i64>, why: &str) -> Result<Canceled, ControlError> {
    let row = sqlx::query!(
        r#"select asked as "asked!", ended as "ended!", ring as "ring!" from queue.cancel($1, $2)"#,
        &ids,
        why
    )
    .fetch_one(conn)
    .await
    .map_err(sql("canceling tasks"))?;
    let mut bell = Bell::of(row.ring).commanded("cancel", row.ended.len());
    if !row.asked.is_empty() {
        bell.add_stop();
    }
    let tasks = |ids: Vec<i64>| ids.into_iter().map(TaskId).collect();
    Ok(Canceled { ended: tasks(row.ended), asked: tasks(row.asked), bell })
}

/// Makes a parked task ready now. On a running task it is noted, so a signal that comes before the park is not lost.
///
/// # Errors
/// When the database refuses.
pub async fn wake(conn: &mut PgConnection, task: TaskId) -> Result<Woken, ControlError> {
    let row = sqlx::query!(
        r#"update queue.task
           set state = case state when 2 then 0 else state end,
               run_at = case state when 2 then now() else run_at end,
               why = case state when 2 then null else why end,
               wake = state = 4
           where id = $1 and state in (2, 4)
           returning state, queue"#,
        task.0
    )
    .fetch_optional(conn)
    .await
    .map_err(sql("waking a task"))?;
    Ok(match row {
        Some(row) if row.state == 0 => {
            Woken { effect: Wake::Ready, bell: Bell::of([row.queue]).commanded("wake", 1) }
        }
        Some(_) => Woken { effect: Wake::Noted, bell: Bell::silent() },
        None => Woken { effect: Wake::NotWaiting, bell: Bell::silent() },
    })
}
