//! Figures of the whole queue.

use std::time::Duration;

use serde_json::json;
use spool_queue::{Batch, OnFailure, TaskState, control, inspect};
use sqlx::PgPool;

use crate::harness::{Other, Running, Step, act, quick, step, task};

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn tasks_are_counted_by_queue_kind_and_state(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    assert_eq!(inspect::figures(&mut conn).await.unwrap(), inspect::Figures::default());
    let mut batch = Batch::new();
    let first = batch.add(step(json!(1)));
    let second = batch.add(step(json!(2)));
    batch.after(second, first, OnFailure::Cancel);
    batch.add(task("other"));
    batch.add(step(json!(3)).delay(Duration::from_secs(3600)));
    let _ = batch.insert(&mut conn).await.unwrap();
    sqlx::query!(
        "update queue.task set run_at = run_at - interval '1 hour' where state = 0 and kind = 'step'"
    )
    .execute(&mut *conn)
    .await
    .unwrap();
    let mut tasks = inspect::figures(&mut conn).await.unwrap().tasks;
    tasks.sort_by(|a, b| (&a.queue, a.state.code()).cmp(&(&b.queue, b.state.code())));
    let shown: Vec<_> = tasks
        .iter()
        .map(|count| {
            (
                count.queue.as_str(),
                count.kind.as_str(),
                count.state,
                count.tasks,
                count.oldest_ready >= 3600.0,
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("main", "step", TaskState::Ready, 1, true),
            ("main", "step", TaskState::Scheduled, 1, false),
            ("main", "step", TaskState::Blocked, 1, false),
            ("side", "other", TaskState::Ready, 1, false),
        ]
    );
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn who_lives_serves_and_a_pause_is_shown(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let nothing = || act(|_, _| async { Ok(spool_queue::Done::nothing()) });
    // It stays alive however slow this machine is.
    let builder = quick("w", &pool).lease(Duration::from_secs(60)).slots("main", 3).slots("side", 5);
    let worker = Running::start(builder.handler(Step(nothing())).handler(Other(nothing()))).await;
    control::pause(&mut conn, "side", "a test").await.unwrap();
    control::pause(&mut conn, "lonely", "a test").await.unwrap();
    let queues = inspect::figures(&mut conn).await.unwrap().queues;
    let shown: Vec<_> = queues.iter().map(|q| (q.queue.as_str(), q.workers, q.slots, q.paused)).collect();
    assert_eq!(shown, [("lonely", 0, 0, true), ("main", 1, 3, false), ("side", 1, 5, true)]);
    worker.stop().await;
    let queues = inspect::figures(&mut conn).await.unwrap().queues;
    assert!(queues.iter().all(|queue| queue.workers == 0), "{queues:?}");
}
