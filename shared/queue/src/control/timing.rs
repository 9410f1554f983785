//! Moves the time at which waiting tasks start.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::sql;
use crate::{bell::Bell, error::ControlError, id::TaskId, state::TaskState};

/// What became of a task whose start was moved.
#[derive(Debug)]
pub struct Moved {
    /// Where it stands now. None: it does not wait (it runs, has ended, or is not known), so nothing was changed.
    pub state: Option<TaskState>,
    /// To be rung after the commit.
    pub bell: Bell,
}

/// Puts a waiting task off until a moment.
///
/// A ready or scheduled one is scheduled for then. A parked one stays parked, so that a [`super::wake`] still finds it. One that
/// waits for other tasks does not start before, even if they end earlier. A running task parks by what its handler returns.
///
/// # Errors
/// When the database refuses.
pub async fn snooze(
    conn: &mut PgConnection,
    task: TaskId,
    until: DateTime<Utc>,
) -> Result<Moved, ControlError> {
    let row = sqlx::query!(
        "update queue.task
         set state = case when state = 0 and $2 > now() then 1 else state end, run_at = $2
         where id = $1 and state in (0, 1, 2, 3) returning state, queue",
        task.0,
        until
    )
    .fetch_optional(conn)
    .await
    .map_err(sql("snoozing a task"))?;
    Ok(moved("snooze", row.map(|row| (row.state, row.queue))))
}

/// Makes a scheduled or parked task ready now, whatever it waited for. One that waits for other tasks goes on waiting for them,
/// but for nothing else.
///
/// # Errors
/// When the database refuses.
pub async fn run_now(conn: &mut PgConnection, task: TaskId) -> Result<Moved, ControlError> {
    let row = sqlx::query!(
        "update queue.task
         set state = case when state in (1, 2) then 0 else state end,
             run_at = case when state = 0 then run_at else now() end,
             why = case when state = 2 then null else why end
         where id = $1 and state in (0, 1, 2, 3) returning state, queue",
        task.0
    )
    .fetch_optional(conn)
    .await
    .map_err(sql("starting a task now"))?;
    Ok(moved("run_now", row.map(|row| (row.state, row.queue))))
}

fn moved(command: &'static str, row: Option<(i16, String)>) -> Moved {
    let Some((code, queue)) = row else { return Moved { state: None, bell: Bell::silent() } };
    let state = TaskState::from_code(code);
    let bell = if state == Some(TaskState::Ready) { Bell::of([queue]) } else { Bell::silent() };
    Moved { state, bell: bell.commanded(command, 1) }
}
