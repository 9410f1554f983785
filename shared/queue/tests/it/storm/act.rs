//! What a caller in the storm can do. Any error but those that are named here ends the process.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::RngExt;
use serde_json::{Value, json};
use spool_queue::{
    Batch, Conflict, ControlError, EnqueueError, NewTask, OnFailure, TaskId, Unique,
    control::{self, Reach},
    inspect::Dead,
};
use sqlx::PgPool;

use super::process::{did, remember};
use crate::harness::step;

const DOINGS: [&str; 11] =
    ["done", "done", "output", "retry", "fail", "panic", "park", "slow", "effect", "effect", "split"];

fn below(limit: u32) -> u32 {
    rand::rng().random_range(0..limit)
}

fn milliseconds(limit: u32) -> Duration {
    Duration::from_millis(u64::from(below(limit)))
}

pub(crate) fn payload() -> Value {
    json!({ "do": DOINGS[below(DOINGS.len() as u32) as usize] })
}

/// Few, so that processes meet in them.
pub(crate) fn group() -> String {
    format!("group {}", below(6))
}

fn queue() -> &'static str {
    if below(3) == 0 { "side" } else { "main" }
}

fn task() -> NewTask {
    let task = step(payload()).group_key(group()).priority(below(3) as i16);
    if below(8) == 0 { task.delay(milliseconds(500)) } else { task }
}

/// Of the queue with limits.
fn shared() -> NewTask {
    NewTask::new("other", "side", 1, &payload()).group_key(group()).share_key(format!("share {}", below(4)))
}

/// At most one of a batch has a key. A key is always held in the same way.
fn keyed() -> NewTask {
    let n = below(10);
    match below(5) {
        0 | 1 => task().unique_key(format!("key {n}")),
        2 => task().unique(Unique::by_key(format!("reported {n}")).on_conflict(Conflict::Report)),
        3 => task().unique(Unique::by_key(format!("period {n}")).within(Duration::from_millis(500))),
        _ => task()
            .delay(milliseconds(500))
            .unique(Unique::by_key(format!("replaced {n}")).while_waiting().on_conflict(Conflict::Replace)),
    }
}

pub(crate) async fn something(pool: &PgPool) {
    match below(21) {
        0..4 => {
            let mut batch = Batch::new();
            batch.add(if below(2) == 0 { keyed() } else { task() });
            enqueue(pool, batch).await;
        }
        4..6 => {
            let mut batch = Batch::new();
            batch.add(keyed());
            for _ in 0..below(30) {
                batch.add(task());
            }
            enqueue(pool, batch).await;
        }
        6..9 => graph(pool).await,
        9 | 10 => {
            let mut batch = Batch::new();
            for _ in 0..=below(6) {
                batch.add(shared());
            }
            enqueue(pool, batch).await;
        }
        11 => {
            let id = some_task(pool).await;
            let mut tx = pool.begin().await.unwrap();
            let canceled = control::cancel_task(&mut tx, id, "told to").await.unwrap();
            tx.commit().await.unwrap();
            canceled.bell.ring(pool).await;
        }
        12 => {
            let mut tx = pool.begin().await.unwrap();
            let canceled = control::cancel_group(&mut tx, &group(), "told to").await.unwrap();
            tx.commit().await.unwrap();
            canceled.bell.ring(pool).await;
        }
        13 => {
            let id = some_task(pool).await;
            let woken = control::wake(&mut pool.acquire().await.unwrap(), id).await.unwrap();
            woken.bell.ring(pool).await;
        }
        14 => control::pause(&mut pool.acquire().await.unwrap(), queue(), "told to").await.unwrap(),
        15 | 16 => {
            let bell = control::resume(&mut pool.acquire().await.unwrap(), queue()).await.unwrap();
            bell.ring(pool).await;
        }
        17 => snooze(pool).await,
        18 => run_now(pool).await,
        19 => retry(pool).await,
        _ => retry_where(pool).await,
    }
}

/// Fans out and in, and may wait for tasks that are there already. The last may need only some of those that it counts.
async fn graph(pool: &PgPool) {
    let on_failure = || [OnFailure::Cancel, OnFailure::Run, OnFailure::Count][below(3) as usize];
    let mut batch = Batch::new();
    // The last has the lowest number: children are not always younger than their parents.
    let last = batch.add(task());
    let first = batch.add(keyed());
    let only_counts = below(2) == 0;
    for _ in 0..=below(4) {
        let middle = batch.add(task());
        batch.after(middle, first, on_failure());
        batch.after(last, middle, if only_counts { OnFailure::Count } else { on_failure() });
    }
    batch.at_least(last, 1 + below(2));
    for _ in 0..below(3) {
        batch.after_existing(first, some_task(pool).await, on_failure());
    }
    enqueue(pool, batch).await;
}

async fn enqueue(pool: &PgPool, batch: Batch) {
    let mut tx = pool.begin().await.unwrap();
    match batch.insert(&mut tx).await {
        Ok(made) => {
            remember(&mut tx, &made).await.unwrap();
            tx.commit().await.unwrap();
            made.bell.ring(pool).await;
        }
        // The number was never given out, or its transaction was rolled back.
        Err(EnqueueError::UnknownTask(_)) => tx.rollback().await.unwrap(),
        Err(EnqueueError::Taken { .. }) => {
            tx.rollback().await.unwrap();
            did(&mut pool.acquire().await.unwrap(), "report").await.unwrap();
        }
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    }
}

/// One that was enqueued not long ago, by whomever.
async fn some_task(pool: &PgPool) -> TaskId {
    let last =
        sqlx::query_scalar!(r#"select last_value as "last!" from queue.task_id"#).fetch_one(pool).await;
    TaskId((last.unwrap() - i64::from(below(150))).max(1))
}

async fn now(pool: &PgPool) -> DateTime<Utc> {
    sqlx::query_scalar!(r#"select now() as "now!""#).fetch_one(pool).await.unwrap()
}

async fn snooze(pool: &PgPool) {
    let (id, until) = (some_task(pool).await, now(pool).await + milliseconds(500));
    let mut conn = pool.acquire().await.unwrap();
    let moved = control::snooze(&mut conn, id, until).await.unwrap();
    if moved.state.is_some() {
        did(&mut conn, "snooze").await.unwrap();
    }
    moved.bell.ring(pool).await;
}

async fn run_now(pool: &PgPool) {
    let id = some_task(pool).await;
    let mut conn = pool.acquire().await.unwrap();
    let moved = control::run_now(&mut conn, id).await.unwrap();
    if moved.state.is_some() {
        did(&mut conn, "run now").await.unwrap();
    }
    moved.bell.ring(pool).await;
}

async fn retry(pool: &PgPool) {
    let offset = i64::from(below(5));
    let dead = sqlx::query_scalar!(
        "select id from queue.task_history where state = 6 and queue = 'main' order by finished_at desc limit 1 offset $1",
        offset
    )
    .fetch_optional(pool)
    .await
    .unwrap();
    let Some(dead) = dead else { return };
    let mut conn = pool.acquire().await.unwrap();
    match control::retry(&mut conn, TaskId(dead), Reach::Downstream).await {
        Ok(retried) => {
            did(&mut conn, "retry").await.unwrap();
            retried.bell.ring(pool).await;
        }
        Err(ControlError::NotDead(_) | ControlError::KeyTaken(_)) => {}
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    }
}

/// What died in a group just now. All of it, again and again, would be nothing but retries.
async fn retry_where(pool: &PgPool) {
    let dead = if below(2) == 0 { Dead::failed() } else { Dead::canceled() };
    let dead = dead.group_key(group()).since(now(pool).await - Duration::from_millis(500));
    let reach = if below(2) == 0 { Reach::Alone } else { Reach::Downstream };
    let mut tx = pool.begin().await.unwrap();
    match control::retry_where(&mut tx, &dead, reach).await {
        Ok(retried) => {
            if !retried.tasks.is_empty() {
                did(&mut tx, "retry by filter").await.unwrap();
            }
            tx.commit().await.unwrap();
            retried.bell.ring(pool).await;
        }
        // Somebody took the key after the look: nothing has come back.
        Err(ControlError::Sql { source: sqlx::Error::Database(error), .. })
            if error.is_unique_violation() =>
        {
            tx.rollback().await.unwrap();
        }
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    }
}
