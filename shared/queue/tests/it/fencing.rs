//! A stale lease changes nothing, on any path.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use spool_queue::{Batch, CommitError, Done, Failure, OnFailure, Outcome, TaskState, inspect};
use sqlx::PgPool;
use tokio::sync::Notify;

use crate::harness::{Running, Step, act, enqueue, outcomes, quick, step, take_over, until, view};

/// Runs a task that is taken over by another claim in the middle, ends it as `end` says, and checks that the end was refused.
async fn refused(pool: &PgPool, end: fn() -> Result<Done, Failure>, with_child: bool) {
    let (running, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (running.clone(), go.clone());
    let slow = act(move |_, _| {
        let (tell, wait) = (tell.clone(), wait.clone());
        async move {
            tell.notify_one();
            wait.notified().await;
            end()
        }
    });
    // No heartbeat that would tell the handler: the write itself must notice.
    let builder = quick("stale", pool)
        .lease(Duration::from_secs(60))
        .heartbeat(Duration::from_secs(20))
        .handler(Step(slow));
    let worker = Running::start(builder).await;
    let mut batch = Batch::new();
    let slot = batch.add(step(json!(1)));
    if with_child {
        let child = batch.add(step(json!(2)));
        batch.after(child, slot, OnFailure::Cancel);
    }
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    let id = made.id(slot);
    made.bell.ring(pool).await;
    running.notified().await;
    take_over(pool, id).await;
    let before = view(pool, id).await;
    go.notify_one();
    until("the refusal", || async { outcomes(pool, id).await.contains(&"refused") }).await;
    assert_eq!(view(pool, id).await, before);
    assert_eq!(outcomes(pool, id).await, ["refused", "running"]);
    if with_child {
        assert_eq!(view(pool, spool_queue::TaskId(id.0 + 1)).await.state, TaskState::Blocked);
    }
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn done(pool: PgPool) {
    refused(&pool, || Ok(Done::nothing()), false).await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn done_with_output(pool: PgPool) {
    refused(&pool, || Done::output(&1), false).await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn done_with_children(pool: PgPool) {
    refused(&pool, || Ok(Done::nothing()), true).await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn fail_with_children(pool: PgPool) {
    refused(&pool, || Err(Failure::fail("x", "x")), true).await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn fail(pool: PgPool) {
    refused(&pool, || Err(Failure::fail("x", "x")), false).await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn retry(pool: PgPool) {
    refused(&pool, || Err(Failure::retry("x", "x")), false).await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn park(pool: PgPool) {
    refused(&pool, || Ok(Outcome::park_in(Duration::ZERO, "x").into()), false).await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn cancel(pool: PgPool) {
    refused(&pool, || Ok(Outcome::Cancel { why: "x".into() }.into()), false).await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_panic(pool: PgPool) {
    refused(&pool, || panic!("late"), false).await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn the_handlers_own_transactions(pool: PgPool) {
    sqlx::raw_sql("create table mark (n int)").execute(&pool).await.unwrap();
    let (running, go, over) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait, end) = (running.clone(), go.clone(), over.clone());
    let own = act(move |_: Value, run| {
        let (tell, wait, end) = (tell.clone(), wait.clone(), end.clone());
        async move {
            tell.notify_one();
            wait.notified().await;
            let mut tx = run.pool().begin().await?;
            assert!(matches!(run.check(&mut tx).await, Err(CommitError::LeaseLost(_))));
            sqlx::raw_sql("insert into mark values (1)").execute(&mut *tx).await?;
            let error = run.commit(tx, Outcome::done()).await.unwrap_err();
            assert!(matches!(error, CommitError::LeaseLost(_)), "{error}");
            end.notify_one();
            Err(error.into())
        }
    });
    let builder = quick("stale", &pool)
        .lease(Duration::from_secs(60))
        .heartbeat(Duration::from_secs(20))
        .handler(Step(own));
    let worker = Running::start(builder).await;
    let id = enqueue(&pool, step(json!(1))).await;
    running.notified().await;
    take_over(&pool, id).await;
    go.notify_one();
    over.notified().await;
    worker.stop().await;
    let marks = sqlx::raw_sql("select * from mark").fetch_all(&pool).await.unwrap();
    assert!(marks.is_empty());
    // Refused once, not twice, though the handler returned the error too.
    assert_eq!(outcomes(&pool, id).await, ["refused", "running"]);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_held_check_keeps_rescuers_out_until_the_commit(pool: PgPool) {
    let (running, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (running.clone(), go.clone());
    let own = act(move |_: Value, run| {
        let (tell, wait) = (tell.clone(), wait.clone());
        async move {
            let mut tx = run.pool().begin().await?;
            run.check(&mut tx).await?;
            tell.notify_one();
            wait.notified().await;
            Ok(run.commit(tx, Outcome::done()).await?)
        }
    });
    let worker = Running::start(quick("w", &pool).handler(Step(own))).await;
    let id = enqueue(&pool, step(json!(1))).await;
    running.notified().await;
    let token = view(&pool, id).await.token.unwrap();
    let steal = sqlx::query_scalar!(
        r#"select 1 as "got!" from queue.task where id = $1 and lease_token = $2 for update skip locked"#,
        id.0,
        token.0
    );
    assert_eq!(steal.fetch_optional(&pool).await.unwrap(), None);
    go.notify_one();
    until("the commit", || async { view(&pool, id).await.state == TaskState::Succeeded }).await;
    worker.stop().await;
    let mut conn = pool.acquire().await.unwrap();
    assert_eq!(inspect::runs_of(&mut conn, id).await.unwrap().len(), 1);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn the_rescue_itself(pool: PgPool) {
    // `finish` is what the reaper calls for tasks without attempts left.
    let id = enqueue(&pool, step(json!(1))).await;
    let ended =
        sqlx::query_scalar!("select queue.finish($1, 999999, 6::smallint, null, null, null, null)", id.0)
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(ended, None);
    assert_eq!(view(&pool, id).await.state, TaskState::Ready);
}
