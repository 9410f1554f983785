//! How far a run is.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use spool_queue::{Done, Outcome, TaskState};
use sqlx::PgPool;
use tokio::sync::Notify;

use crate::harness::{Running, Step, act, enqueue, quick, step, take_over, until, until_final, view};

async fn rows(pool: &PgPool) -> i64 {
    sqlx::query_scalar!(r#"select count(*) as "n!" from queue.progress"#).fetch_one(pool).await.unwrap()
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn progress_is_shown_never_goes_back_and_goes_with_the_task(pool: PgPool) {
    let go = Arc::new(Notify::new());
    let wait = go.clone();
    let slow = act(move |_, run| {
        let wait = wait.clone();
        async move {
            run.progress(40, "half-way\0");
            wait.notified().await;
            run.progress(20, "looking again");
            wait.notified().await;
            run.progress(250, "nearly");
            Ok(Done::nothing())
        }
    });
    let worker = Running::start(quick("w", &pool).handler(Step(slow))).await;
    let id = enqueue(&pool, step(json!(1))).await;
    let shown = async |percent: u8, note: &str| {
        until("the progress to be shown", || async {
            let progress = view(&pool, id).await.progress;
            progress.is_some_and(|progress| (progress.percent, progress.note.as_str()) == (percent, note))
        })
        .await;
    };
    shown(40, "half-way\u{fffd}").await;
    go.notify_one();
    shown(40, "looking again").await;
    go.notify_one();
    assert_eq!(until_final(&pool, id).await.progress, None);
    until("the row to go", || async { rows(&pool).await == 0 }).await;
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_parked_task_shows_how_far_its_last_run_was(pool: PgPool) {
    let go = Arc::new(Notify::new());
    let wait = go.clone();
    let parks = act(move |_, run| {
        let wait = wait.clone();
        async move {
            if run.parks() > 0 {
                return Ok(Done::nothing());
            }
            run.progress(70, "ordered");
            wait.notified().await;
            Ok(Outcome::park_in(Duration::from_secs(3600), "outside").into())
        }
    });
    let worker = Running::start(quick("w", &pool).handler(Step(parks))).await;
    let id = enqueue(&pool, step(json!(1))).await;
    until("the progress", || async { rows(&pool).await == 1 }).await;
    go.notify_one();
    until("the task to park", || async { view(&pool, id).await.state == TaskState::Parked }).await;
    assert_eq!(view(&pool, id).await.progress.unwrap().percent, 70);
    spool_queue::control::wake(&mut pool.acquire().await.unwrap(), id).await.unwrap().bell.ring(&pool).await;
    until_final(&pool, id).await;
    // The last run said nothing, so it cleared nothing; the sweep does.
    until("the row to go", || async { rows(&pool).await == 0 }).await;
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_stale_run_reports_in_vain(pool: PgPool) {
    let go = Arc::new(Notify::new());
    let wait = go.clone();
    let slow = act(move |payload, run| {
        let wait = wait.clone();
        async move {
            if payload == json!("stale") {
                wait.notified().await;
                run.progress(90, "stale");
            } else {
                run.progress(10, "fresh");
            }
            run.canceled().cancelled().await;
            Ok(Done::nothing())
        }
    });
    // No heartbeat that would tell the handler: the write itself must notice.
    let builder = quick("stale", &pool)
        .lease(Duration::from_secs(60))
        .heartbeat(Duration::from_secs(20))
        .handler(Step(slow));
    let worker = Running::with_grace(builder, Duration::ZERO).await;
    let stale = enqueue(&pool, step(json!("stale"))).await;
    until("the task to run", || async { view(&pool, stale).await.state == TaskState::Running }).await;
    take_over(&pool, stale).await;
    let before = view(&pool, stale).await;
    go.notify_one();
    // Reports are written in the order in which they came, or together: once the second stands the first was tried.
    let fresh = enqueue(&pool, step(json!("fresh"))).await;
    until("the other report", || async { view(&pool, fresh).await.progress.is_some() }).await;
    assert_eq!(rows(&pool).await, 1);
    assert_eq!(view(&pool, stale).await, before);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn the_row_of_a_newer_run_is_not_overwritten(pool: PgPool) {
    let go = Arc::new(Notify::new());
    let wait = go.clone();
    let slow = act(move |_, run| {
        let wait = wait.clone();
        async move {
            run.progress(10, "first");
            wait.notified().await;
            Ok(Done::nothing())
        }
    });
    let worker = Running::start(quick("w", &pool).handler(Step(slow))).await;
    let id = enqueue(&pool, step(json!(1))).await;
    until("the report", || async { view(&pool, id).await.progress.is_some() }).await;
    // What a later run wrote is not shown for another token, and not removed by the end of this one while the task is there.
    sqlx::query!("update queue.progress set lease_token = lease_token + 1000").execute(&pool).await.unwrap();
    assert_eq!(view(&pool, id).await.progress, None);
    go.notify_one();
    until_final(&pool, id).await;
    until("the sweep", || async { rows(&pool).await == 0 }).await;
    worker.stop().await;
}
