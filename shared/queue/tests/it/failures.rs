//! What other queues were seen to do wrong, and must not happen here.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use spool_queue::{Done, TaskState};
use sqlx::PgPool;
use tokio::sync::Notify;

use crate::harness::{
    Hasty, Other, Running, Step, act, enqueue, outcomes, outlast_lease, quick, step, task, until,
    until_final, view,
};

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn tasks_longer_than_the_lease_run_once_on_healthy_workers(pool: PgPool) {
    let runs = Arc::new(Mutex::new(HashMap::<i64, usize>::new()));
    let slow = |name: &'static str| {
        let runs = runs.clone();
        let slow = act(move |payload, run| {
            *runs.lock().unwrap().entry(payload.as_i64().unwrap()).or_default() += 1;
            async move {
                outlast_lease(run.pool(), run.task_id()).await;
                Ok(Done::nothing())
            }
        });
        quick(name, &pool).slots("main", 1).handler(Step(slow))
    };
    let a = Running::start(slow("a")).await;
    let b = Running::start(slow("b")).await;
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(enqueue(&pool, step(json!(n))).await);
    }
    for id in ids {
        assert_eq!(until_final(&pool, id).await.attempt, 1);
        assert_eq!(outcomes(&pool, id).await, ["done"]);
    }
    assert!(runs.lock().unwrap().values().all(|&runs| runs == 1));
    a.stop().await;
    b.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_finished_task_is_recorded_while_others_still_run(pool: PgPool) {
    let go = Arc::new(Notify::new());
    let wait = go.clone();
    let mixed = act(move |payload, _| {
        let wait = wait.clone();
        async move {
            if payload == json!("slow") {
                wait.notified().await;
            }
            Ok(Done::nothing())
        }
    });
    let worker = Running::start(quick("w", &pool).slots("main", 2).handler(Step(mixed))).await;
    let slow = enqueue(&pool, step(json!("slow"))).await;
    for n in 0..5 {
        let fast = enqueue(&pool, step(json!(n))).await;
        until_final(&pool, fast).await;
    }
    assert_eq!(view(&pool, slow).await.state, TaskState::Running);
    go.notify_one();
    until_final(&pool, slow).await;
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn no_more_tasks_are_taken_than_there_are_slots(pool: PgPool) {
    let hang = act(|_, run| async move {
        run.canceled().cancelled().await;
        Ok(Done::nothing())
    });
    let worker =
        Running::with_grace(quick("w", &pool).slots("main", 3).handler(Step(hang)), Duration::ZERO).await;
    for n in 0..20 {
        enqueue(&pool, step(json!(n))).await;
    }
    until("three to run", || async {
        spool_queue::inspect::stats(&mut pool.acquire().await.unwrap()).await.unwrap()[0].running == 3
    })
    .await;
    let stats = spool_queue::inspect::stats(&mut pool.acquire().await.unwrap()).await.unwrap();
    assert_eq!((stats[0].running, stats[0].ready), (3, 17));
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_timeout_is_recorded_and_retried(pool: PgPool) {
    let runs = Arc::new(AtomicUsize::new(0));
    let count = runs.clone();
    let slow_once = act(move |_, _| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if first {
                std::future::pending::<()>().await;
            }
            Ok(Done::nothing())
        }
    });
    let worker = Running::start(quick("w", &pool).handler(Hasty(slow_once))).await;
    let id = enqueue(&pool, task("hasty")).await;
    let view = until_final(&pool, id).await;
    assert_eq!((view.state, view.attempt), (TaskState::Succeeded, 2));
    assert_eq!(outcomes(&pool, id).await, ["broken", "done"]);
    let dead = enqueue(&pool, task("hasty").max_attempts(1)).await;
    runs.store(0, Ordering::SeqCst);
    let dead = until_final(&pool, dead).await;
    assert!(
        dead.last_error.as_deref() == Some("took longer than 0.08 s") || dead.state == TaskState::Succeeded
    );
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_panic_is_recorded_and_retried_and_others_go_on(pool: PgPool) {
    let go = Arc::new(Notify::new());
    let wait = go.clone();
    let touchy = act(move |payload, run| {
        let wait = wait.clone();
        async move {
            match payload.as_str() {
                Some("bystander") => wait.notified().await,
                Some("once") if run.attempt() > 1 => {}
                _ => panic!("boom {}", run.attempt()),
            }
            Ok(Done::nothing())
        }
    });
    let worker = Running::start(quick("w", &pool).handler(Step(touchy))).await;
    let bystander = enqueue(&pool, step(json!("bystander"))).await;
    let once = enqueue(&pool, step(json!("once"))).await;
    let always = enqueue(&pool, step(json!("always"))).await;
    assert_eq!(until_final(&pool, once).await.state, TaskState::Succeeded);
    let always = until_final(&pool, always).await;
    assert_eq!(
        (always.state, always.attempt, always.last_error.as_deref()),
        (TaskState::Failed, 3, Some("boom 3"))
    );
    assert_eq!(outcomes(&pool, always.id).await, ["broken", "broken", "failed"]);
    assert_eq!(view(&pool, bystander).await.attempt, 1);
    go.notify_one();
    assert_eq!(until_final(&pool, bystander).await.attempt, 1);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_handler_that_blocks_its_thread_does_not_stop_the_heartbeat(pool: PgPool) {
    let (go, wait) = std::sync::mpsc::channel();
    let wait = Arc::new(Mutex::new(wait));
    let blocks = act(move |_, _| {
        let wait = wait.clone();
        async move {
            // Blocks its thread on purpose.
            wait.lock().unwrap().recv().unwrap();
            Ok(Done::nothing())
        }
    });
    let (runtime_pool, id) = (pool.clone(), enqueue(&pool, step(json!(1))).await);
    // Two threads, as a process has at least: one is blocked longer than the lease.
    let worker = std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let options = runtime_pool.connect_options().as_ref().clone();
        runtime.block_on(async {
            let pool = sqlx::postgres::PgPoolOptions::new().max_connections(3).connect_lazy_with(options);
            let worker = Running::start(quick("w", &pool).handler(Step(blocks))).await;
            until_final(&pool, id).await;
            worker.stop().await;
        });
    });
    let done = act(|_, _| async { Ok(Done::nothing()) });
    let other = Running::start(quick("other", &pool).handler(Other(done))).await;
    outlast_lease(&pool, id).await;
    go.send(()).unwrap();
    until_final(&pool, id).await;
    other.stop().await;
    tokio::task::spawn_blocking(|| worker.join().unwrap()).await.unwrap();
    assert_eq!(outcomes(&pool, id).await, ["done"]);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn workers_of_one_name_work_side_by_side(pool: PgPool) {
    let workers = [
        Running::start(quick("same", &pool).handler(Step(act(|_, _| async { Ok(Done::nothing()) })))).await,
        Running::start(quick("same", &pool).handler(Step(act(|_, _| async { Ok(Done::nothing()) })))).await,
        Running::start(quick("same", &pool).handler(Step(act(|_, _| async { Ok(Done::nothing()) })))).await,
    ];
    let live = spool_queue::inspect::workers(&mut pool.acquire().await.unwrap()).await.unwrap();
    assert_eq!(live.len(), 3);
    let id = enqueue(&pool, step(json!(1))).await;
    until_final(&pool, id).await;
    for worker in workers {
        worker.stop().await;
    }
    let live = spool_queue::inspect::workers(&mut pool.acquire().await.unwrap()).await.unwrap();
    assert!(live.is_empty());
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn polling_alone_finds_everything(pool: PgPool) {
    // This mode hears no doorbell.
    let builder = quick("deaf", &pool).pgbouncer(true).poll(Duration::from_millis(5));
    let worker = Running::start(builder.handler(Step(act(|_, _| async { Ok(Done::nothing()) })))).await;
    for n in 0..60 {
        let id = enqueue(&pool, step(json!(n))).await;
        until_final(&pool, id).await;
    }
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn the_doorbell_wakes_a_worker_that_hardly_polls(pool: PgPool) {
    let builder = quick("drowsy", &pool).poll(Duration::from_secs(3600));
    let worker = Running::start(builder.handler(Step(act(|_, _| async { Ok(Done::nothing()) })))).await;
    for n in 0..20 {
        let id = enqueue(&pool, step(json!(n))).await;
        until_final(&pool, id).await;
    }
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn retries_of_a_scheduled_task_come_by_its_time_not_by_the_poll(pool: PgPool) {
    let worker =
        Running::start(quick("w", &pool).handler(Step(act(|_, _| async { Ok(Done::nothing()) })))).await;
    let id = enqueue(&pool, step(json!(1)).delay(Duration::from_millis(200))).await;
    let view = until_final(&pool, id).await;
    assert!(view.started_at.unwrap() >= view.run_at);
    until("nothing to be left", || async {
        spool_queue::inspect::stats(&mut pool.acquire().await.unwrap()).await.unwrap().is_empty()
    })
    .await;
    worker.stop().await;
}
