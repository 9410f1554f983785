//! Cancel, wake, pause, resume.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use spool_queue::{Done, Failure, Outcome, StopReason, TaskState, control, control::Wake};
use sqlx::PgPool;
use tokio::sync::Notify;

use crate::harness::{Running, Step, act, enqueue, outcomes, quick, step, until, until_final, view};

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_waiting_task_is_canceled_at_once(pool: PgPool) {
    let ready = enqueue(&pool, step(json!(1))).await;
    let later = enqueue(&pool, step(json!(1)).delay(Duration::from_secs(60))).await;
    for id in [ready, later] {
        let canceled = control::cancel_task(&mut pool.acquire().await.unwrap(), id, "no").await.unwrap();
        assert_eq!((canceled.ended, canceled.asked.len()), (vec![id], 0));
        let view = view(&pool, id).await;
        assert_eq!((view.state, view.why.as_deref()), (TaskState::Canceled, Some("no")));
    }
    let again = control::cancel_task(&mut pool.acquire().await.unwrap(), ready, "no").await.unwrap();
    assert!(again.ended.is_empty() && again.asked.is_empty() && again.bell.is_silent());
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_running_task_is_told_to_stop_and_ends_canceled(pool: PgPool) {
    let polite = act(|_, run| async move {
        run.canceled().cancelled().await;
        assert_eq!(run.stop_reason(), Some(StopReason::Canceled));
        Err(Failure::retry("interrupted", "stopped half-way"))
    });
    // A heartbeat this slow shows that the doorbell brings the news.
    let builder = quick("w", &pool)
        .lease(Duration::from_secs(60))
        .heartbeat(Duration::from_secs(20))
        .handler(Step(polite));
    let worker = Running::start(builder).await;
    let id = enqueue(&pool, step(json!(1)).group_key("g")).await;
    until("the task to run", || async { view(&pool, id).await.state == TaskState::Running }).await;
    let canceled =
        control::cancel_group(&mut pool.acquire().await.unwrap(), "g", "changed my mind").await.unwrap();
    assert_eq!(canceled.asked, [id]);
    canceled.bell.ring(&pool).await;
    let view = until_final(&pool, id).await;
    assert_eq!((view.state, view.why.as_deref()), (TaskState::Canceled, Some("changed my mind")));
    assert_eq!(view.last_error.as_deref(), Some("stopped half-way"));
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn the_heartbeat_tells_it_too_and_a_finished_task_has_succeeded(pool: PgPool) {
    let polite = act(|_, run| async move {
        run.canceled().cancelled().await;
        Ok(Done::nothing())
    });
    let worker = Running::start(quick("w", &pool).handler(Step(polite))).await;
    let id = enqueue(&pool, step(json!(1))).await;
    until("the task to run", || async { view(&pool, id).await.state == TaskState::Running }).await;
    // The bell is not rung.
    let _ = control::cancel_task(&mut pool.acquire().await.unwrap(), id, "late").await.unwrap();
    assert_eq!(until_final(&pool, id).await.state, TaskState::Succeeded);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_canceled_task_does_not_park(pool: PgPool) {
    let polite = act(|_, run| async move {
        run.canceled().cancelled().await;
        Ok(Outcome::park_in(Duration::from_secs(60), "more").into())
    });
    let worker = Running::start(quick("w", &pool).handler(Step(polite))).await;
    let id = enqueue(&pool, step(json!(1))).await;
    until("the task to run", || async { view(&pool, id).await.state == TaskState::Running }).await;
    let _ = control::cancel_task(&mut pool.acquire().await.unwrap(), id, "stop").await.unwrap();
    assert_eq!(until_final(&pool, id).await.state, TaskState::Canceled);
    assert_eq!(outcomes(&pool, id).await, ["canceled"]);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_wake_makes_a_parked_task_ready(pool: PgPool) {
    let runs = Arc::new(AtomicUsize::new(0));
    let seen = runs.clone();
    let parks = act(move |_, _| {
        let n = seen.fetch_add(1, Ordering::SeqCst);
        async move {
            Ok(if n == 0 {
                Outcome::park_in(Duration::from_secs(3600), "outside").into()
            } else {
                Done::nothing()
            })
        }
    });
    let worker = Running::start(quick("w", &pool).handler(Step(parks))).await;
    let id = enqueue(&pool, step(json!(1))).await;
    until("the task to park", || async { view(&pool, id).await.state == TaskState::Parked }).await;
    let woken = control::wake(&mut pool.acquire().await.unwrap(), id).await.unwrap();
    assert_eq!(woken.effect, Wake::Ready);
    woken.bell.ring(&pool).await;
    assert_eq!(until_final(&pool, id).await.state, TaskState::Succeeded);
    let late = control::wake(&mut pool.acquire().await.unwrap(), id).await.unwrap();
    assert_eq!(late.effect, Wake::NotWaiting);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_wake_that_comes_before_the_park_is_not_lost(pool: PgPool) {
    let runs = Arc::new(AtomicUsize::new(0));
    let go = Arc::new(Notify::new());
    let (seen, wait) = (runs.clone(), go.clone());
    let parks = act(move |_, _| {
        let n = seen.fetch_add(1, Ordering::SeqCst);
        let wait = wait.clone();
        async move {
            if n > 0 {
                return Ok(Done::nothing());
            }
            wait.notified().await;
            Ok(Outcome::park_in(Duration::from_secs(3600), "outside").into())
        }
    });
    let worker = Running::start(quick("w", &pool).handler(Step(parks))).await;
    let id = enqueue(&pool, step(json!(1))).await;
    until("the task to run", || async { view(&pool, id).await.state == TaskState::Running }).await;
    let woken = control::wake(&mut pool.acquire().await.unwrap(), id).await.unwrap();
    assert_eq!(woken.effect, Wake::Noted);
    go.notify_one();
    let view = until_final(&pool, id).await;
    assert_eq!((view.state, view.parks), (TaskState::Succeeded, 1));
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_paused_queue_is_not_claimed_from(pool: PgPool) {
    let runs = Arc::new(AtomicUsize::new(0));
    let seen = runs.clone();
    let count = act(move |_, _| {
        seen.fetch_add(1, Ordering::SeqCst);
        async { Ok(Done::nothing()) }
    });
    control::pause(&mut pool.acquire().await.unwrap(), "main", "out of money").await.unwrap();
    let worker = Running::start(
        quick("w", &pool)
            .handler(Step(count))
            .handler(crate::harness::Other(act(|_, _| async { Ok(Done::nothing()) }))),
    )
    .await;
    let id = enqueue(&pool, step(json!(1))).await;
    let side = enqueue(&pool, crate::harness::task("other")).await;
    until_final(&pool, side).await;
    let stats = spool_queue::inspect::stats(&mut pool.acquire().await.unwrap()).await.unwrap();
    assert_eq!(
        (stats[0].queue.as_str(), stats[0].paused.as_deref(), stats[0].ready),
        ("main", Some("out of money"), 1)
    );
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    let bell = control::resume(&mut pool.acquire().await.unwrap(), "main").await.unwrap();
    bell.ring(&pool).await;
    assert_eq!(until_final(&pool, id).await.state, TaskState::Succeeded);
    worker.stop().await;
}
