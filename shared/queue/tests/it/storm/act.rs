//! What a caller in the storm can do. Any error but those that are named here ends the process.

use std::time::Duration;

use rand::RngExt;
use serde_json::{Value, json};
use spool_queue::{Batch, ControlError, EnqueueError, NewTask, OnFailure, TaskId, control};
use sqlx::PgPool;

use super::process::remember;
use crate::harness::step;

const DOINGS: [&str; 11] =
    ["done", "done", "output", "retry", "fail", "panic", "park", "slow", "effect", "effect", "split"];

fn below(limit: u32) -> u32 {
    rand::rng().random_range(0..limit)
}

pub(crate) fn payload() -> Value {
    json!({ "do": DOINGS[below(DOINGS.len() as u32) as usize] })
}

/// Few, so that processes meet in them.
pub(crate) fn group() -> String {
    format!("group {}", below(6))
}

fn task() -> NewTask {
    let task = step(payload()).group_key(group()).priority(below(3) as i16);
    if below(8) == 0 { task.delay(Duration::from_millis(u64::from(below(500)))) } else { task }
}

/// At most one of a batch has a key.
fn keyed() -> NewTask {
    task().unique_key(format!("key {}", below(10)))
}

pub(crate) async fn something(pool: &PgPool) {
    match below(14) {
        0..3 => {
            let mut batch = Batch::new();
            batch.add(if below(3) == 0 { keyed() } else { task() });
            enqueue(pool, batch).await;
        }
        3..5 => {
            let mut batch = Batch::new();
            batch.add(keyed());
            for _ in 0..below(30) {
                batch.add(task());
            }
            enqueue(pool, batch).await;
        }
        5..8 => graph(pool).await,
        8 => {
            let mut tx = pool.begin().await.unwrap();
            let id = some_task(pool).await;
            let canceled = control::cancel_task(&mut tx, id, "told to").await.unwrap();
            tx.commit().await.unwrap();
            canceled.bell.ring(pool).await;
        }
        9 => {
            let mut tx = pool.begin().await.unwrap();
            let canceled = control::cancel_group(&mut tx, &group(), "told to").await.unwrap();
            tx.commit().await.unwrap();
            canceled.bell.ring(pool).await;
        }
        10 => {
            let id = some_task(pool).await;
            let woken = control::wake(&mut pool.acquire().await.unwrap(), id).await.unwrap();
            woken.bell.ring(pool).await;
        }
        11 => control::pause(&mut pool.acquire().await.unwrap(), "main", "told to").await.unwrap(),
        12 => {
            let bell = control::resume(&mut pool.acquire().await.unwrap(), "main").await.unwrap();
            bell.ring(pool).await;
        }
        _ => retry(pool).await,
    }
}

/// Fans out and in, and may wait for tasks that are there already.
async fn graph(pool: &PgPool) {
    let on_failure = || if below(2) == 0 { OnFailure::Cancel } else { OnFailure::Run };
    let mut batch = Batch::new();
    // The last has the lowest number: children are not always younger than their parents.
    let last = batch.add(task());
    let first = batch.add(keyed());
    for _ in 0..=below(4) {
        let middle = batch.add(task());
        batch.after(middle, first, on_failure());
        batch.after(last, middle, on_failure());
    }
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
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    }
}

/// One that was enqueued not long ago, by whomever.
async fn some_task(pool: &PgPool) -> TaskId {
    let last =
        sqlx::query_scalar!(r#"select last_value as "last!" from queue.task_id"#).fetch_one(pool).await;
    TaskId((last.unwrap() - i64::from(below(150))).max(1))
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
    match control::retry(&mut pool.acquire().await.unwrap(), TaskId(dead), control::Reach::Downstream).await {
        Ok(retried) => retried.bell.ring(pool).await,
        Err(ControlError::NotDead(_) | ControlError::KeyTaken(_)) => {}
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    }
}
