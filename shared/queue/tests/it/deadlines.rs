//! Tasks that are not worth doing after a moment.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use spool_queue::{Batch, Done, Failure, OnFailure, TaskState};
use sqlx::PgPool;
use tokio::sync::Notify;

use crate::harness::{
    Running, Step, act, enqueue, outcomes, plan_with_indexes, quick, step, until, until_final, view,
};

fn past() -> DateTime<Utc> {
    DateTime::from_timestamp(1_000_000_000, 0).unwrap()
}

fn quiet() -> Step {
    Step(act(|_, _| async { Ok(Done::nothing()) }))
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_waiting_task_past_its_deadline_fails_with_all_that_follows(pool: PgPool) {
    let mut batch = Batch::new();
    let late = batch.add(step(json!(1)).delay(Duration::from_secs(3600)).deadline(past()));
    let child = batch.add(step(json!(2)));
    let anyway = batch.add(step(json!(3)));
    let in_time = batch.add(step(json!(4)).deadline(past() + TimeDelta::days(365 * 100)));
    batch.after(child, late, OnFailure::Cancel);
    batch.after(anyway, late, OnFailure::Run);
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    assert_eq!(view(&pool, made.id(late)).await.deadline, Some(past()));
    let worker = Running::start(quick("w", &pool).handler(quiet())).await;
    let ended = until_final(&pool, made.id(late)).await;
    assert_eq!((ended.state, ended.error_class.as_deref()), (TaskState::Failed, Some("deadline")));
    assert_eq!((ended.attempt, outcomes(&pool, made.id(late)).await.len()), (0, 0));
    for (slot, state) in
        [(child, TaskState::Canceled), (anyway, TaskState::Succeeded), (in_time, TaskState::Succeeded)]
    {
        assert_eq!(until_final(&pool, made.id(slot)).await.state, state, "{slot:?}");
    }
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_blocked_task_past_its_deadline_fails_too(pool: PgPool) {
    let mut batch = Batch::new();
    let parent = batch.add(step(json!(1)).delay(Duration::from_secs(3600)));
    let late = batch.add(step(json!(2)).deadline(past()));
    let child = batch.add(step(json!(3)));
    batch.after(late, parent, OnFailure::Cancel);
    batch.after(child, late, OnFailure::Cancel);
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    let ended = sqlx::query_scalar!(r#"select ended as "ended!" from queue.expire(10)"#);
    assert_eq!(ended.fetch_one(&pool).await.unwrap(), [made.id(late).0]);
    assert_eq!(view(&pool, made.id(late)).await.state, TaskState::Failed);
    assert_eq!(view(&pool, made.id(child)).await.state, TaskState::Canceled);
    assert_eq!(view(&pool, made.id(parent)).await.state, TaskState::Scheduled);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn the_sweep_leaves_a_running_task_alone_but_not_its_next_attempt(pool: PgPool) {
    let go = Arc::new(Notify::new());
    let wait = go.clone();
    let slow = act(move |_, _| {
        let wait = wait.clone();
        async move {
            wait.notified().await;
            Err(Failure::retry_after(Duration::from_secs(3600), "busy", "come back in an hour"))
        }
    });
    let worker = Running::start(quick("w", &pool).handler(Step(slow))).await;
    let id = enqueue(&pool, step(json!(1))).await;
    until("the task to run", || async { view(&pool, id).await.state == TaskState::Running }).await;
    sqlx::query!("update queue.task set expires_at = $2 where id = $1", id.0, past())
        .execute(&pool)
        .await
        .unwrap();
    let ended = sqlx::query_scalar!(r#"select ended as "ended!" from queue.expire(10)"#);
    assert!(ended.fetch_one(&pool).await.unwrap().is_empty());
    go.notify_one();
    let view = until_final(&pool, id).await;
    assert_eq!((view.state, view.error_class.as_deref()), (TaskState::Failed, Some("deadline")));
    assert_eq!(outcomes(&pool, id).await, ["retry"]);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_task_that_was_there_keeps_its_deadline(pool: PgPool) {
    let first = enqueue(&pool, step(json!(1)).unique_key("k")).await;
    let again = enqueue(&pool, step(json!(1)).unique_key("k").deadline(past())).await;
    assert_eq!(first, again);
    assert_eq!(view(&pool, first).await.deadline, None);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn tasks_without_a_deadline_are_not_in_its_index(pool: PgPool) {
    let sweep = "select id from queue.task where expires_at <= now() and worker_id is null order by expires_at limit 10";
    let plan = plan_with_indexes(&pool, sweep).await;
    assert!(plan.contains(" task_expires "), "{plan}");
}
