//! Connections that break and a database that goes away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use spool_queue::{Done, TaskState};
use sqlx::PgPool;
use tokio::sync::Notify;

use crate::harness::{
    Other, Running, Step, act, break_all, enqueue, outcomes, outlast_lease, quick, step, until, until_ended,
    until_final,
};
use crate::line::Line;

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_running_handler_survives_broken_connections(pool: PgPool) {
    let (started, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (started.clone(), go.clone());
    let runs = Arc::new(AtomicUsize::new(0));
    let count = runs.clone();
    let slow = act(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        let (tell, wait) = (tell.clone(), wait.clone());
        async move {
            tell.notify_one();
            wait.notified().await;
            Ok(Done::nothing())
        }
    });
    let worker = Running::start(quick("w", &pool).lease(Duration::from_secs(5)).handler(Step(slow))).await;
    let id = enqueue(&pool, step(json!(1))).await;
    started.notified().await;
    break_all(&pool).await;
    go.notify_one();
    assert_eq!(until_final(&pool, id).await.state, TaskState::Succeeded);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    // Claims, heartbeat and listener are back.
    let after = enqueue(&pool, step(json!(2))).await;
    go.notify_one();
    assert_eq!(until_final(&pool, after).await.attempt, 1);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn connections_that_break_all_the_time_lose_and_repeat_no_task_that_ended(pool: PgPool) {
    let worker = Running::start(
        quick("w", &pool)
            .lease(Duration::from_secs(3))
            .slots("main", 4)
            .handler(Step(act(|_, _| async { Ok(Done::nothing()) }))),
    )
    .await;
    let mut batch = spool_queue::Batch::new();
    for n in 0..400 {
        batch.add(step(json!(n)));
    }
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    made.bell.ring(&pool).await;
    for round in 1..=8 {
        break_all(&pool).await;
        until_ended(&pool, 40 * round).await;
    }
    for id in made.ids {
        let view = until_final(&pool, id).await;
        assert_eq!(view.state, TaskState::Succeeded);
        // A lost claim answer may hand a task back; nothing is ever refused.
        assert!(!outcomes(&pool, id).await.contains(&"refused"));
    }
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_starved_handler_pool_does_not_cost_the_lease(pool: PgPool) {
    let (started, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (started.clone(), go.clone());
    let greedy = act(move |_, run| {
        let (tell, wait) = (tell.clone(), wait.clone());
        async move {
            let mut held = Vec::new();
            while let Some(connection) = run.pool().try_acquire() {
                held.push(connection);
            }
            tell.notify_one();
            wait.notified().await;
            Ok(Done::nothing())
        }
    });
    let options = pool.connect_options().as_ref().clone();
    let small = sqlx::postgres::PgPoolOptions::new().max_connections(2).connect_with(options).await.unwrap();
    let worker = Running::start(quick("w", &small).handler(Step(greedy))).await;
    let other =
        Running::start(quick("other", &pool).handler(Other(act(|_, _| async { Ok(Done::nothing()) })))).await;
    let id = enqueue(&pool, step(json!(1))).await;
    started.notified().await;
    // The other worker would have rescued the task by now.
    outlast_lease(&pool, id).await;
    go.notify_one();
    assert_eq!(until_final(&pool, id).await.attempt, 1);
    assert_eq!(outcomes(&pool, id).await, ["done"]);
    other.stop().await;
    worker.stop().await;
}

/// When a database that stood still goes on, it carries out what was sent before. A reaper's statement may be first.
#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn nobody_is_given_up_for_dead_because_the_database_stood_still(pool: PgPool) {
    let done = || act(|_, _| async { Ok(Done::nothing()) });
    let (started, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (started.clone(), go.clone());
    let slow = act(move |_, _| {
        let (tell, wait) = (tell.clone(), wait.clone());
        async move {
            tell.notify_one();
            wait.notified().await;
            Ok(Done::nothing())
        }
    });
    let (reaper_line, worker_line) = (Line::to(&pool).await, Line::to(&pool).await);
    let reaper = Running::start(quick("reaper", &reaper_line.pool(&pool)).handler(Other(done()))).await;
    let worker = Running::start(quick("worker", &worker_line.pool(&pool)).handler(Step(slow))).await;
    let id = enqueue(&pool, step(json!(1))).await;
    started.notified().await;
    // The reaper is past its own first lease, and does its duty.
    outlast_lease(&pool, id).await;

    reaper_line.hold(true);
    worker_line.hold(true);
    until("both leases to run out", || async { dead_and_late(&pool).await.1.len() == 2 }).await;
    reaper_line.hold(false);
    until("the reaper to be back", || async { dead_and_late(&pool).await.1 == ["worker"] }).await;
    worker_line.hold(false);

    until("the worker to be back", || async { dead_and_late(&pool).await.1.is_empty() }).await;
    go.notify_one();
    assert_eq!(until_final(&pool, id).await.attempt, 1);
    assert_eq!(outcomes(&pool, id).await, ["done"]);
    assert_eq!(dead_and_late(&pool).await.0, Vec::<String>::new());
    reaper.stop().await;
    worker.stop().await;
}

/// Names of the workers that are dead, and of those that live but have not renewed their lease in time.
async fn dead_and_late(pool: &PgPool) -> (Vec<String>, Vec<String>) {
    let workers = sqlx::query!(
        r#"select name, dead_at is not null as "dead!", lease_until < now() as "late!" from queue.worker"#
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let (dead, living): (Vec<_>, Vec<_>) = workers.into_iter().partition(|worker| worker.dead);
    (
        dead.into_iter().map(|worker| worker.name).collect(),
        living.into_iter().filter(|worker| worker.late).map(|worker| worker.name).collect(),
    )
}

/// A firewall or a balancer that forgets connections tells nobody. What was sent on them is never answered.
#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_worker_whose_connections_are_all_forgotten_keeps_its_lease_and_ends_its_task(pool: PgPool) {
    let (started, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (started.clone(), go.clone());
    let slow = act(move |_, _| {
        let (tell, wait) = (tell.clone(), wait.clone());
        async move {
            tell.notify_one();
            wait.notified().await;
            Ok(Done::nothing())
        }
    });
    let line = Line::to(&pool).await;
    let worker =
        Running::start(quick("w", &line.pool(&pool)).lease(Duration::from_secs(3)).handler(Step(slow))).await;
    let id = enqueue(&pool, step(json!(1))).await;
    started.notified().await;
    line.strand();
    go.notify_one();
    assert_eq!(until_final(&pool, id).await.attempt, 1);
    // Claims and the look-out found new connections too.
    let after = enqueue(&pool, step(json!(2))).await;
    go.notify_one();
    assert_eq!(until_final(&pool, after).await.attempt, 1);
    assert_eq!(outcomes(&pool, id).await, ["done"]);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_listener_whose_connection_was_forgotten_hears_again(pool: PgPool) {
    let line = Line::to(&pool).await;
    // By polling it would find nothing in the time of this test.
    let builder = quick("w", &line.pool(&pool)).poll(Duration::from_secs(3600));
    let worker = Running::start(builder.handler(Step(act(|_, _| async { Ok(Done::nothing()) })))).await;
    let before = enqueue(&pool, step(json!("before"))).await;
    until_final(&pool, before).await;
    line.strand();
    // The first is found when it listens again, the others are heard of.
    for n in 0..3 {
        let id = enqueue(&pool, step(json!(n))).await;
        assert_eq!(until_final(&pool, id).await.attempt, 1);
    }
    worker.stop().await;
}
