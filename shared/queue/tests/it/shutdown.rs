//! Stopping a worker: finish or hand back, without using attempts.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use spool_queue::{Done, Failure, StopReason, TaskState, WorkerError, inspect};
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::harness::{Running, Step, act, enqueue, outcomes, quick, step, until, until_ended, view};

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn what_runs_is_finished_within_the_grace(pool: PgPool) {
    let started = Arc::new(Notify::new());
    let tell = started.clone();
    let stop = CancellationToken::new();
    let told = stop.clone();
    let slow = act(move |_, run| {
        let (tell, told) = (tell.clone(), told.clone());
        async move {
            tell.notify_one();
            told.cancelled().await;
            assert!(!run.canceled().is_cancelled());
            Ok(Done::nothing())
        }
    });
    let worker = quick("w", &pool).slots("main", 1).handler(Step(slow));
    let worker = worker.start(stop.clone(), Duration::from_secs(5)).await.unwrap();
    let worker = Running { worker, stop };
    let first = enqueue(&pool, step(json!(1))).await;
    let second = enqueue(&pool, step(json!(2))).await;
    started.notified().await;
    worker.stop().await;
    assert_eq!(view(&pool, first).await.state, TaskState::Succeeded);
    let second = view(&pool, second).await;
    assert_eq!((second.state, second.attempt), (TaskState::Ready, 0));
    assert!(inspect::workers(&mut pool.acquire().await.unwrap()).await.unwrap().is_empty());
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn what_is_not_finished_is_handed_back_without_an_attempt(pool: PgPool) {
    let polite = act(|payload, run| async move {
        run.canceled().cancelled().await;
        assert_eq!(run.stop_reason(), Some(StopReason::Shutdown));
        if payload == json!("rude") {
            std::future::pending::<()>().await;
        }
        Err(Failure::retry("interrupted", "told to stop"))
    });
    let worker = Running::with_grace(quick("w", &pool).handler(Step(polite)), Duration::ZERO).await;
    let polite = enqueue(&pool, step(json!("polite"))).await;
    let rude = enqueue(&pool, step(json!("rude"))).await;
    until("both to run", || async {
        view(&pool, polite).await.state == TaskState::Running
            && view(&pool, rude).await.state == TaskState::Running
    })
    .await;
    worker.stop().await;
    for id in [polite, rude] {
        let view = view(&pool, id).await;
        assert_eq!((view.state, view.attempt), (TaskState::Ready, 0));
        // Twice, if a claim that was on its way when the worker was told to stop took it once more.
        let outcomes = outcomes(&pool, id).await;
        assert!(
            !outcomes.is_empty() && outcomes.iter().all(|outcome| *outcome == "handed_back"),
            "{outcomes:?}"
        );
        let runs = inspect::runs_of(&mut pool.acquire().await.unwrap(), id).await.unwrap();
        assert!(runs.iter().all(|run| !run.counted), "{runs:?}");
    }
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn what_was_claimed_and_never_arrived_is_handed_back_too(pool: PgPool) {
    // No heartbeat comes that would do it.
    let builder = quick("w", &pool).lease(Duration::from_secs(60)).heartbeat(Duration::from_secs(20));
    let worker = Running::start(builder.handler(Step(act(|_, _| async { Ok(Done::nothing()) })))).await;
    let id = sqlx::query_scalar!(
        "insert into queue.task (queue, kind, payload, state, lease_token, worker_id, claimed_at, deadline_at, attempt)
         values ('main', 'step', '1', 4, nextval('queue.lease_token'), $1, now(), now() + interval '1 hour', 1) returning id",
        worker.worker.id().0
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    worker.stop().await;
    let seen = view(&pool, spool_queue::TaskId(id)).await;
    assert_eq!((seen.state, seen.attempt), (TaskState::Ready, 0));
    assert_eq!(outcomes(&pool, seen.id).await, ["handed_back"]);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_rolling_restart_loses_nothing(pool: PgPool) {
    let mut ids = Vec::new();
    for n in 0..200 {
        ids.push(enqueue(&pool, step(json!(n))).await);
    }
    let slow = act(|_, _| async {
        tokio::task::yield_now().await;
        Ok(Done::nothing())
    });
    for round in 1..=4 {
        let worker = Running::with_grace(
            quick("w", &pool).slots("main", 4).handler(Step(slow.clone())),
            Duration::ZERO,
        )
        .await;
        until_ended(&pool, 20 * round).await;
        worker.stop().await;
    }
    let worker = Running::start(quick("w", &pool).handler(Step(slow))).await;
    for id in ids {
        let view = crate::harness::until_final(&pool, id).await;
        assert_eq!((view.state, view.attempt), (TaskState::Succeeded, 1));
    }
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_worker_that_is_put_together_wrongly_says_so(pool: PgPool) {
    let done = || Step(act(|_, _| async { Ok(Done::nothing()) }));
    let stop = tokio_util::sync::CancellationToken::new();
    let start = async |builder: spool_queue::WorkerBuilder| {
        builder.start(stop.clone(), Duration::ZERO).await.unwrap_err()
    };
    assert!(matches!(start(quick("w", &pool)).await, WorkerError::NoHandlers(_)));
    assert!(matches!(
        start(quick("w", &pool).handler(done()).handler(done())).await,
        WorkerError::TwoHandlers(_)
    ));
    let slow = quick("w", &pool).heartbeat(Duration::from_secs(9)).handler(done());
    assert!(matches!(start(slow).await, WorkerError::Setting { .. }));
    assert!(matches!(
        start(quick("w", &pool).slots("main", 0).handler(done())).await,
        WorkerError::Setting { .. }
    ));
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn migrations_can_run_again(pool: PgPool) {
    spool_queue::migrate(&pool).await.unwrap();
    let parts = sqlx::query_scalar!(
        r#"select count(*) as "n!" from pg_inherits where inhparent = 'queue.task_history'::regclass"#
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(parts, 3);
}
