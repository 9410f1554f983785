//! Limits of a queue that hold across all workers: how many at once, how many in a time, and whose turn it is.
//!
//! A queue without limits is claimed by many workers side by side. One with limits is claimed by one at a time, under the lock
//! of its row: some thousand claims a second, each of as many tasks as there is room for.
//!
//! The *share key* of a task says whose work it is. In a fair queue shares are served in proportion to their weights, whatever
//! each has waiting; a share that was idle gets no credit for it. Within a share the order is that of the queue. Tasks without
//! a share key take what their place in the queue gives them.

use std::time::Duration;

use sqlx::PgConnection;

use crate::{error::ControlError, insert::milliseconds};

/// What a queue is held to. The default is nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Limits {
    /// Tasks that run at the same time, in all workers together.
    pub max_running: Option<u32>,
    /// The same for each share, unless [`set_share`] says otherwise.
    pub max_running_per_share: Option<u32>,
    /// Tasks that are started in a time.
    pub rate: Option<Rate>,
    /// Serve the shares in turn, by weight.
    pub fair: bool,
}

/// So many starts in each period, spread evenly (GCRA).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Starts in a period; at least 1.
    pub tasks: u32,
    /// The period.
    pub per: Duration,
    /// Starts that may come at once after a rest; at least 1.
    pub burst: u32,
}

/// What is said of one share of a queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// Its part, beside those of the others; 1 is usual. More than 0.
    pub weight: f64,
    /// Instead of the queue's `max_running_per_share`.
    pub max_running: Option<u32>,
}

impl Default for Share {
    fn default() -> Self {
        Self { weight: 1.0, max_running: None }
    }
}

fn sql(operation: &'static str) -> impl FnOnce(sqlx::Error) -> ControlError {
    move |source| ControlError::Sql { operation, source }
}

fn tasks(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Replaces the limits of a queue. Workers hear of it within their poll interval; until then a queue that has just got its first
/// limit gives them nothing.
///
/// # Errors
/// When a number makes no sense (a rate of no tasks), or the database refuses.
pub async fn set(conn: &mut PgConnection, queue: &str, limits: &Limits) -> Result<(), ControlError> {
    let rate = limits.rate;
    if rate.is_some_and(|rate| rate.tasks == 0 || rate.burst == 0 || rate.per < Duration::from_millis(1)) {
        return Err(ControlError::Setting {
            name: "rate",
            why: "needs at least one task, a burst of at least one, and a period of at least a millisecond",
        });
    }
    sqlx::query!(
        "insert into queue.queue as q (name, max_running, max_running_per_share, fair, rate_tasks, rate_period_ms, rate_burst)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (name) do update set max_running = excluded.max_running, max_running_per_share = excluded.max_running_per_share,
             fair = excluded.fair, rate_tasks = excluded.rate_tasks, rate_period_ms = excluded.rate_period_ms, rate_burst = excluded.rate_burst,
             rate_next = least(q.rate_next, now() + excluded.rate_period_ms * interval '1 millisecond')",
        queue,
        limits.max_running.map(tasks),
        limits.max_running_per_share.map(tasks),
        limits.fair,
        rate.map(|rate| tasks(rate.tasks)),
        rate.map(|rate| milliseconds(rate.per)),
        rate.map(|rate| tasks(rate.burst))
    )
    .execute(conn)
    .await
    .map_err(sql("setting the limits of a queue"))?;
    Ok(())
}

/// The limits of a queue.
///
/// # Errors
/// When the database refuses.
pub async fn get(conn: &mut PgConnection, queue: &str) -> Result<Limits, ControlError> {
    let row = sqlx::query!(
        "select max_running, max_running_per_share, fair, rate_tasks, rate_period_ms, rate_burst from queue.queue where name = $1",
        queue
    )
    .fetch_optional(conn)
    .await
    .map_err(sql("reading the limits of a queue"))?;
    let Some(row) = row else { return Ok(Limits::default()) };
    let rate = row.rate_tasks.zip(row.rate_period_ms).zip(row.rate_burst);
    Ok(Limits {
        max_running: row.max_running.map(i32::unsigned_abs),
        max_running_per_share: row.max_running_per_share.map(i32::unsigned_abs),
        rate: rate.map(|((tasks, per), burst)| Rate {
            tasks: tasks.unsigned_abs(),
            per: Duration::from_millis(per.unsigned_abs()),
            burst: burst.unsigned_abs(),
        }),
        fair: row.fair,
    })
}

/// Says what one share of a queue is worth and may do. Its weight counts in a fair queue, its `max_running` in any queue with limits.
///
/// # Errors
/// When the weight is not a number above 0, or the database refuses.
pub async fn set_share(
    conn: &mut PgConnection,
    queue: &str,
    share_key: &str,
    share: Share,
) -> Result<(), ControlError> {
    if !(share.weight.is_finite() && share.weight > 0.0) {
        return Err(ControlError::Setting { name: "weight", why: "must be a number above 0" });
    }
    sqlx::query!(
        "insert into queue.share (queue, share_key, weight, max_running) values ($1, $2, $3, $4)
         on conflict (queue, share_key) do update set weight = excluded.weight, max_running = excluded.max_running",
        queue,
        share_key,
        share.weight,
        share.max_running.map(tasks)
    )
    .execute(conn)
    .await
    .map_err(sql("setting a share of a queue"))?;
    Ok(())
}
