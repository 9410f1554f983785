//! Commands to the queue, in the caller's transaction: cancel, wake, pause, resume, retry.

use sqlx::PgConnection;

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
    // One cancel at a time: two that meet in a graph whose tasks become ready meanwhile would see two orders.
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('spool_queue.cancel', 0))")
        .fetch_one(&mut *conn)
        .await
        .map_err(sql("waiting for another cancel"))?;
    // All that this may touch is locked at once and in order: what waits for nobody, then what waits, each by id. What waits
    // for a task may be older than it, after a stand-in for instance. Ready and running are one class, because a claim takes
    // a task from one to the other without waiting for anybody.
    sqlx::query!(
        r#"with recursive below (id) as (
               select id from unnest($1::bigint[]) as u(id)
               union select e.child from queue.edge e join below b on e.parent = b.id)
           select t.id from queue.task t where t.id in (select b.id from below b) order by t.state = 3, t.id for update of t"#,
        &ids
    )
    .fetch_all(&mut *conn)
    .await
    .map_err(sql("locking what is canceled"))?;
    let row = sqlx::query!(
        r#"select asked as "asked!", ended as "ended!", ring as "ring!" from queue.cancel($1, $2)"#,
        &ids,
        why
    )
    .fetch_one(conn)
    .await
    .map_err(sql("canceling tasks"))?;
    let mut bell = Bell::of(row.ring);
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
        Some(row) if row.state == 0 => Woken { effect: Wake::Ready, bell: Bell::of([row.queue]) },
        Some(_) => Woken { effect: Wake::Noted, bell: Bell::silent() },
        None => Woken { effect: Wake::NotWaiting, bell: Bell::silent() },
    })
}

/// Stops claims from a queue; what runs goes on.
///
/// # Errors
/// When the database refuses.
pub async fn pause(conn: &mut PgConnection, queue: &str, why: &str) -> Result<(), ControlError> {
    sqlx::query!(
        "insert into queue.queue (name, paused_at, paused_why) values ($1, now(), $2)
         on conflict (name) do update set paused_at = coalesce(queue.paused_at, now()), paused_why = excluded.paused_why",
        queue,
        why
    )
    .execute(conn)
    .await
    .map_err(sql("pausing a queue"))?;
    Ok(())
}

/// Lets a paused queue go on.
///
/// # Errors
/// When the database refuses.
pub async fn resume(conn: &mut PgConnection, queue: &str) -> Result<Bell, ControlError> {
    sqlx::query!("update queue.queue set paused_at = null, paused_why = null where name = $1", queue)
        .execute(conn)
        .await
        .map_err(sql("resuming a queue"))?;
    Ok(Bell::of([queue.to_owned()]))
}

/// Gives a dead task all its attempts again, under the same number. Tasks that were canceled with it stay canceled.
///
/// # Errors
/// [`ControlError::NotDead`] when the last end of the task is not a failure; [`ControlError::KeyTaken`] when another task has its unique key.
pub async fn retry_dead(conn: &mut PgConnection, task: TaskId) -> Result<Bell, ControlError> {
    let queue = sqlx::query_scalar!(
        "with dead as (
             delete from queue.task_history h
             where h.id = $1 and h.state = 6 and not exists (select from queue.task_history later where later.id = $1 and later.finished_at > h.finished_at)
             returning *),
         noted as (
             insert into queue.run (task_id, lease_token, ended_at, started_at, worker_id, attempt, outcome, counted, error_class, error)
             select id, lease_token, finished_at, started_at, worker_id, attempt, 3, true, error_class, error from dead where lease_token is not null)
         insert into queue.task (id, created_at, run_at, lease_token, timeout_ms, parks, state, priority, version, max_attempts, queue, kind,
                                 group_key, share_key, unique_key, last_error, payload)
         select id, created_at, now(), lease_token, timeout_ms, parks, 0, priority, version, max_attempts, queue, kind,
                group_key, share_key, unique_key, error, payload
         from dead
         returning queue",
        task.0
    )
    .fetch_optional(conn)
    .await
    .map_err(|source| match &source {
        sqlx::Error::Database(database) if database.is_unique_violation() => ControlError::KeyTaken(task),
        _ => ControlError::Sql { operation: "retrying a dead task", source },
    })?;
    queue.map(|queue| Bell::of([queue])).ok_or(ControlError::NotDead(task))
}
