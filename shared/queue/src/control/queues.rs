//! Whole queues: pause, resume, drain.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use super::sql;
use crate::{bell::Bell, error::ControlError};

/// How often [`drained`] looks.
const LOOK: Duration = Duration::from_millis(200);

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

/// How far a queue is from standing still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draining {
    /// It is not paused: it never stands still.
    Open,
    /// It is paused; so many of its tasks still run. For the first second after the pause it may be 0 and the queue not drained:
    /// a claim that began before the pause can still come.
    Running(u64),
    /// It is paused and nothing runs.
    Drained,
}

/// Pauses a queue so that it runs dry: nothing new starts, what runs ends. [`drained`] waits for it, [`resume`] ends it.
///
/// # Errors
/// When the database refuses.
pub async fn drain(conn: &mut PgConnection, queue: &str) -> Result<(), ControlError> {
    pause(conn, queue, "draining").await
}

/// How far a drain is.
///
/// # Errors
/// When the database refuses.
pub async fn draining(conn: &mut PgConnection, queue: &str) -> Result<Draining, ControlError> {
    let row = sqlx::query!(
        r#"select (select count(*) from queue.task where worker_id is not null and queue = $1) as "running!",
                  (select paused_at < now() - interval '1 second' from queue.queue where name = $1 and paused_at is not null) as settled"#,
        queue
    )
    .fetch_one(conn)
    .await
    .map_err(sql("looking how far a queue is drained"))?;
    Ok(match row.settled {
        None => Draining::Open,
        Some(true) if row.running == 0 => Draining::Drained,
        Some(_) => Draining::Running(row.running.unsigned_abs()),
    })
}

/// Waits until a queue is drained, or open again. Put a time limit around it: a task that is stuck keeps it waiting.
///
/// # Errors
/// When the database refuses or cannot be reached.
pub async fn drained(pool: &PgPool, queue: &str) -> Result<Draining, ControlError> {
    loop {
        let mut conn = pool.acquire().await.map_err(sql("looking how far a queue is drained"))?;
        let draining = draining(&mut conn, queue).await?;
        drop(conn);
        if !matches!(draining, Draining::Running(_)) {
            return Ok(draining);
        }
        tokio::time::sleep(LOOK).await;
    }
}
