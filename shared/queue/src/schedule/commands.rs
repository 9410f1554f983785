//! Puts, removes, pauses and lists schedules, in the caller's transaction.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{
    error::ScheduleError,
    id::TaskId,
    insert::milliseconds,
    schedule::{Missed, Put, Schedule, ScheduleView, fire::with_planned, timing::Timing},
    task::{NewTask, Start},
};

fn sql(operation: &'static str) -> impl FnOnce(sqlx::Error) -> ScheduleError {
    move |source| ScheduleError::Sql { operation, source }
}

async fn now(conn: &mut PgConnection) -> Result<DateTime<Utc>, ScheduleError> {
    sqlx::query_scalar!(r#"select now() as "now!""#).fetch_one(conn).await.map_err(sql("asking for the time"))
}

/// Makes a schedule, or changes the one of this name. Its next moment stays when expression, zone and interval are as they were, and so does a pause.
///
/// # Errors
/// When it would never fire, when its task has a start or a unique key of its own, or when the payload does not suit.
pub async fn put(conn: &mut PgConnection, schedule: Schedule) -> Result<Put, ScheduleError> {
    let now = now(conn).await?;
    let Schedule { name, cron, every, timing, missed, overlap, planned_field, mut task } = schedule;
    let next = timing.after(now, now).ok_or(ScheduleError::Never)?;
    let payload = checked(&name, &mut task, planned_field.as_deref(), next)?;
    let (cron, zone) = cron.unzip();
    let (missed, at_most) = match missed {
        Missed::Skip => (0, 1),
        Missed::Once => (1, 1),
        Missed::All { at_most } => (2, i32::from(at_most.get())),
    };
    let row = sqlx::query!(
        r#"insert into queue.schedule as s (name, cron, zone, every_ms, missed, missed_at_most, overlap, planned_field, kind, queue, version, priority,
                                            group_key, share_key, max_attempts, timeout_ms, payload, next_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, ($17::text)::json, $18)
           on conflict (name) do update set
               cron = excluded.cron, zone = excluded.zone, every_ms = excluded.every_ms, missed = excluded.missed, missed_at_most = excluded.missed_at_most,
               overlap = excluded.overlap, planned_field = excluded.planned_field, kind = excluded.kind, queue = excluded.queue,
               version = excluded.version, priority = excluded.priority, group_key = excluded.group_key, share_key = excluded.share_key,
               max_attempts = excluded.max_attempts, timeout_ms = excluded.timeout_ms, payload = excluded.payload, fault = null,
               next_at = case when (s.cron, s.zone, s.every_ms) is not distinct from (excluded.cron, excluded.zone, excluded.every_ms) and s.fault is null
                              then s.next_at else excluded.next_at end
           returning xmax = 0 as "created!", next_at"#,
        name,
        cron,
        zone,
        every.map(milliseconds),
        missed,
        at_most,
        overlap,
        planned_field,
        &task.kind,
        &task.queue,
        task.version,
        task.priority,
        task.group_key.as_deref(),
        task.share_key.as_deref(),
        task.max_attempts,
        task.timeout_ms(),
        payload,
        next
    )
    .fetch_one(conn)
    .await
    .map_err(sql("putting a schedule"))?;
    Ok(Put { created: row.created, next_at: row.next_at })
}

/// The payload as the row keeps it. What a firing could refuse is refused here.
fn checked(
    name: &str,
    task: &mut NewTask,
    planned_field: Option<&str>,
    planned: DateTime<Utc>,
) -> Result<String, ScheduleError> {
    let refuse = |why| Err(ScheduleError::Task { name: name.to_owned(), why });
    if task.start != Start::Now {
        return refuse("its task must have no start of its own: the schedule says when");
    }
    if task.deadline.is_some() {
        return refuse("its task must have no deadline: each planned moment has a task of its own");
    }
    if task.unique.is_some() {
        return refuse(
            "its task must have no unique key of its own: each planned moment is one; see no_overlap",
        );
    }
    let payload = task.checked_payload()?;
    if let Some(field) = planned_field {
        let Some(with) = with_planned(&payload, field, planned) else {
            return refuse("planned_as needs a payload that is an object");
        };
        task.payload = Ok(with);
        task.checked_payload()?;
    }
    Ok(payload)
}

/// Removes a schedule; tasks that it has enqueued stay. False: there is none.
///
/// # Errors
/// When the database refuses.
pub async fn remove(conn: &mut PgConnection, name: &str) -> Result<bool, ScheduleError> {
    let done = sqlx::query!("delete from queue.schedule where name = $1", name)
        .execute(conn)
        .await
        .map_err(sql("removing a schedule"))?;
    Ok(done.rows_affected() > 0)
}

/// Lets a schedule rest. False: there is none that goes.
///
/// # Errors
/// When the database refuses.
pub async fn pause(conn: &mut PgConnection, name: &str) -> Result<bool, ScheduleError> {
    let done = sqlx::query!(
        "update queue.schedule set paused_at = now() where name = $1 and paused_at is null",
        name
    )
    .execute(conn)
    .await
    .map_err(sql("pausing a schedule"))?;
    Ok(done.rows_affected() > 0)
}

/// Lets a paused schedule go on with the next planned moment after now: what was planned during the pause was not missed. False: there is none that rests.
///
/// # Errors
/// When the database refuses, or its expression is not understood by this program.
pub async fn resume(conn: &mut PgConnection, name: &str) -> Result<bool, ScheduleError> {
    let row = sqlx::query!(
        r#"select cron, zone, every_ms, next_at, now() as "now!" from queue.schedule where name = $1 and paused_at is not null for update"#,
        name
    )
    .fetch_optional(&mut *conn)
    .await
    .map_err(sql("locking a paused schedule"))?;
    let Some(row) = row else { return Ok(false) };
    let timing = Timing::parse(row.cron.as_deref(), row.zone.as_deref(), row.every_ms)?;
    let next = match row.next_at {
        Some(next) if next <= row.now => timing.after(next, row.now),
        next => next,
    };
    sqlx::query!("update queue.schedule set paused_at = null, next_at = $2 where name = $1", name, next)
        .execute(conn)
        .await
        .map_err(sql("resuming a schedule"))?;
    Ok(true)
}

/// All schedules, by name.
///
/// # Errors
/// When the database refuses.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<ScheduleView>, ScheduleError> {
    let rows = sqlx::query!(
        "select name, cron, zone, every_ms, kind, queue, next_at, last_at, last_task, paused_at, fault from queue.schedule order by name"
    )
    .fetch_all(conn)
    .await
    .map_err(sql("listing the schedules"))?;
    Ok(rows
        .into_iter()
        .map(|row| ScheduleView {
            name: row.name,
            cron: row.cron,
            zone: row.zone,
            every_ms: row.every_ms,
            kind: row.kind,
            queue: row.queue,
            next_at: row.next_at,
            last_at: row.last_at,
            last_task: row.last_task.map(TaskId),
            paused_at: row.paused_at,
            fault: row.fault,
        })
        .collect())
}
