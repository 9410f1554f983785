//! Snooze, run now, and the drain of a queue.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use spool_queue::{
    Batch, Done, OnFailure, Outcome, TaskState, control,
    control::{Draining, Wake},
};
use sqlx::PgPool;
use tokio::sync::Notify;

use crate::harness::{Running, Step, act, enqueue, quick, step, until, until_final, view};

async fn in_an_hour(pool: &PgPool) -> DateTime<Utc> {
    sqlx::query_scalar!(r#"select now() as "now!""#).fetch_one(pool).await.unwrap() + TimeDelta::hours(1)
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_snoozed_task_waits_and_run_now_ends_the_wait(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let id = enqueue(&pool, step(json!(1))).await;
    let at = in_an_hour(&pool).await;
    let moved = control::snooze(&mut conn, id, at).await.unwrap();
    assert_eq!((moved.state, moved.bell.is_silent()), (Some(TaskState::Scheduled), true));
    assert_eq!(view(&pool, id).await.run_at, at);
    let moved = control::run_now(&mut conn, id).await.unwrap();
    assert_eq!((moved.state, moved.bell.is_silent()), (Some(TaskState::Ready), false));
    let quiet = act(|_, _| async { Ok(Done::nothing()) });
    quick("w", &pool).handler(Step(quiet)).drain().await.unwrap();
    assert_eq!(view(&pool, id).await.state, TaskState::Succeeded);
    assert_eq!(control::snooze(&mut conn, id, at).await.unwrap().state, None);
    assert_eq!(control::run_now(&mut conn, id).await.unwrap().state, None);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_parked_task_stays_parked_and_can_be_woken(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let parks = act(|_, _| async { Ok(Outcome::park_in(Duration::from_secs(60), "outside").into()) });
    let id = enqueue(&pool, step(json!(1))).await;
    quick("w", &pool).handler(Step(parks)).drain().await.unwrap();
    let at = in_an_hour(&pool).await;
    assert_eq!(control::snooze(&mut conn, id, at).await.unwrap().state, Some(TaskState::Parked));
    let now = view(&pool, id).await;
    assert_eq!((now.run_at, now.why.as_deref()), (at, Some("outside")));
    let woken = control::wake(&mut conn, id).await.unwrap();
    assert_eq!(woken.effect, Wake::Ready);
    woken.bell.ring(&pool).await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_blocked_task_starts_neither_before_its_parents_nor_before_its_time(pool: PgPool) {
    let mut batch = Batch::new();
    let (parent, child) = (batch.add(step(json!(1))), batch.add(step(json!(2))));
    batch.after(child, parent, OnFailure::Cancel);
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    let (parent, child) = (made.id(parent), made.id(child));
    let mut conn = pool.acquire().await.unwrap();
    assert_eq!(control::run_now(&mut conn, child).await.unwrap().state, Some(TaskState::Blocked));
    let at = in_an_hour(&pool).await;
    assert_eq!(control::snooze(&mut conn, child, at).await.unwrap().state, Some(TaskState::Blocked));
    let quiet = act(|_, _| async { Ok(Done::nothing()) });
    let ended = quick("w", &pool).handler(Step(quiet)).drain().await.unwrap();
    assert_eq!(ended.iter().map(|task| task.id).collect::<Vec<_>>(), [parent]);
    assert_eq!((view(&pool, child).await.state, view(&pool, child).await.run_at), (TaskState::Scheduled, at));
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_running_task_is_neither_snoozed_nor_started(pool: PgPool) {
    let go = Arc::new(Notify::new());
    let wait = go.clone();
    let slow = act(move |_, _| {
        let wait = wait.clone();
        async move {
            wait.notified().await;
            Ok(Done::nothing())
        }
    });
    let worker = Running::start(quick("w", &pool).handler(Step(slow))).await;
    let id = enqueue(&pool, step(json!(1))).await;
    until("the task to run", || async { view(&pool, id).await.state == TaskState::Running }).await;
    let before = view(&pool, id).await;
    let at = in_an_hour(&pool).await;
    let mut conn = pool.acquire().await.unwrap();
    assert_eq!(control::snooze(&mut conn, id, at).await.unwrap().state, None);
    assert_eq!(control::run_now(&mut conn, id).await.unwrap().state, None);
    assert_eq!(view(&pool, id).await, before);
    go.notify_one();
    until_final(&pool, id).await;
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_drained_queue_ends_what_runs_and_starts_nothing(pool: PgPool) {
    let go = Arc::new(Notify::new());
    let wait = go.clone();
    let slow = act(move |_, _| {
        let wait = wait.clone();
        async move {
            wait.notified().await;
            Ok(Done::nothing())
        }
    });
    let worker = Running::start(quick("w", &pool).slots("main", 1).handler(Step(slow))).await;
    let running = enqueue(&pool, step(json!(1))).await;
    until("the task to run", || async { view(&pool, running).await.state == TaskState::Running }).await;
    let waiting = enqueue(&pool, step(json!(2))).await;
    let mut conn = pool.acquire().await.unwrap();
    assert_eq!(control::draining(&mut conn, "main").await.unwrap(), Draining::Open);
    control::drain(&mut conn, "main").await.unwrap();
    assert_eq!(control::draining(&mut conn, "main").await.unwrap(), Draining::Running(1));
    go.notify_one();
    assert_eq!(control::drained(&pool, "main").await.unwrap(), Draining::Drained);
    assert_eq!(view(&pool, running).await.state, TaskState::Succeeded);
    assert_eq!(view(&pool, waiting).await.state, TaskState::Ready);
    control::resume(&mut conn, "main").await.unwrap().ring(&pool).await;
    go.notify_one();
    until_final(&pool, waiting).await;
    assert_eq!(control::drained(&pool, "main").await.unwrap(), Draining::Open);
    worker.stop().await;
}
