//! What becomes of a task by what its handler says.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use spool_queue::{Done, Failure, Outcome, TaskState};
use sqlx::PgPool;

use crate::harness::{
    Other, Patient, Running, Step, act, enqueue, outcomes, quick, step, task, until, until_final, view,
};

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn output_is_kept(pool: PgPool) {
    let worker = Running::start(
        quick("w", &pool).handler(Step(act(|payload, _| async move { Done::output(&payload) }))),
    )
    .await;
    let id = enqueue(&pool, step(json!({"a": 1}))).await;
    let view = until_final(&pool, id).await;
    assert_eq!((view.state, view.output, view.attempt), (TaskState::Succeeded, Some(json!({"a": 1})), 1));
    assert_eq!(outcomes(&pool, id).await, ["done"]);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_failed_attempt_waits_for_the_persisted_delay(pool: PgPool) {
    let worker = Running::start(
        quick("w", &pool).handler(Patient(act(|_, _| async { Err(Failure::retry("net", "down")) }))),
    )
    .await;
    let id = enqueue(&pool, task("patient")).await;
    until("the first failure", || async { view(&pool, id).await.state == TaskState::Scheduled }).await;
    let delay = sqlx::query_scalar!(
        r#"select extract(epoch from run_at - (select max(ended_at) from queue.run))::float8 as "delay!" from queue.task where id = $1"#,
        id.0
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert!((3.9..6.1).contains(&delay), "{delay}");
    assert_eq!(view(&pool, id).await.last_error.as_deref(), Some("down"));
    // Its time comes.
    sqlx::query!("update queue.task set run_at = now() where id = $1", id.0).execute(&pool).await.unwrap();
    let view = until_final(&pool, id).await;
    assert_eq!((view.state, view.attempt, view.max_attempts), (TaskState::Failed, 2, Some(2)));
    assert_eq!(outcomes(&pool, id).await, ["retry", "failed"]);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_delay_of_the_handlers_choice_wins(pool: PgPool) {
    let worker = Running::start(quick("w", &pool).handler(Patient(act(|_, _| async {
        Err(Failure::retry_after(Duration::from_secs(3600), "busy", "come back in an hour"))
    }))))
    .await;
    let id = enqueue(&pool, task("patient")).await;
    until("the failure", || async { view(&pool, id).await.state == TaskState::Scheduled }).await;
    let view = view(&pool, id).await;
    assert!((view.run_at - view.started_at.unwrap_or(view.run_at)).num_seconds().abs() <= 3600);
    let hours = sqlx::query_scalar!(
        r#"select extract(epoch from run_at - now())::float8 as "s!" from queue.task where id = $1"#,
        id.0
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert!((3500.0..3601.0).contains(&hours), "{hours}");
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn parking_costs_no_attempt_and_leaves_no_run(pool: PgPool) {
    let looks = Arc::new(AtomicUsize::new(0));
    let seen = looks.clone();
    let polls = act(move |_, run| {
        let seen = seen.clone();
        async move {
            assert_eq!(run.attempt(), 1);
            assert_eq!(run.parks() as usize, seen.load(Ordering::SeqCst));
            if seen.fetch_add(1, Ordering::SeqCst) < 5 {
                return Ok(Outcome::park_in(Duration::from_millis(10), "not there yet").into());
            }
            Ok(Done::nothing())
        }
    });
    let worker = Running::start(quick("w", &pool).handler(Step(polls))).await;
    let id = enqueue(&pool, step(json!(1))).await;
    let view = until_final(&pool, id).await;
    assert_eq!((view.state, view.attempt, view.parks), (TaskState::Succeeded, 1, 5));
    assert_eq!(outcomes(&pool, id).await, ["done"]);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn one_worker_parks_thousands_in_few_slots(pool: PgPool) {
    let mut batch = spool_queue::Batch::new();
    for n in 0..2000 {
        batch.add(step(json!(n)).group_key("g"));
    }
    batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap().bell.ring(&pool).await;
    let worker = Running::start(quick("w", &pool).slots("main", 8).handler(Step(act(|_, _| async {
        Ok(Outcome::park_in(Duration::from_secs(600), "outside").into())
    }))))
    .await;
    until("all to park", || async {
        let stats = spool_queue::inspect::stats(&mut pool.acquire().await.unwrap()).await.unwrap();
        stats[0].parked == 2000 && stats[0].running == 0
    })
    .await;
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn an_outcome_commits_with_the_handlers_own_writes(pool: PgPool) {
    sqlx::raw_sql("create table mark (n int)").execute(&pool).await.unwrap();
    let own = act(|_, run| async move {
        let mut tx = run.pool().begin().await?;
        run.check(&mut tx).await?;
        sqlx::raw_sql("insert into mark values (1)").execute(&mut *tx).await?;
        Ok(run.commit(tx, Outcome::Done(json!("marked"))).await?)
    });
    let worker = Running::start(quick("w", &pool).handler(Step(own))).await;
    let id = enqueue(&pool, step(json!(1))).await;
    assert_eq!(until_final(&pool, id).await.output, Some(json!("marked")));
    worker.stop().await;
    assert_eq!(outcomes(&pool, id).await, ["done"]);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn an_error_after_the_commit_is_no_lost_lease(pool: PgPool) {
    let own = act(|_, run| async move {
        let tx = run.pool().begin().await?;
        let _ = run.commit(tx, Outcome::done()).await?;
        panic!("after the commit");
    });
    let worker = Running::start(quick("w", &pool).handler(Step(own))).await;
    let id = enqueue(&pool, step(json!(1))).await;
    assert_eq!(until_final(&pool, id).await.state, TaskState::Succeeded);
    worker.stop().await;
    assert_eq!(outcomes(&pool, id).await, ["done"]);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn kinds_that_nobody_knows_are_parked_not_lost(pool: PgPool) {
    let worker =
        Running::start(quick("w", &pool).handler(Step(act(|_, _| async { Ok(Done::nothing()) })))).await;
    let id = enqueue(&pool, task("mystery")).await;
    until("the task to park", || async { view(&pool, id).await.state == TaskState::Parked }).await;
    let view = view(&pool, id).await;
    assert_eq!((view.attempt, view.why.as_deref()), (0, Some("worker w has no handler for mystery")));
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_payload_that_does_not_fit_is_a_dead_task(pool: PgPool) {
    struct Typed;
    impl spool_queue::Handler for Typed {
        const KIND: &'static str = "step";
        const QUEUE: &'static str = "main";
        const TIMEOUT: Duration = Duration::from_secs(5);
        type Payload = u32;
        async fn run(&self, _: u32, _: spool_queue::Run) -> Result<Done, Failure> {
            Ok(Done::nothing())
        }
    }
    let worker = Running::start(quick("w", &pool).handler(Typed)).await;
    let id = enqueue(&pool, step(json!("text"))).await;
    let view = until_final(&pool, id).await;
    assert_eq!(view.state, TaskState::Failed);
    assert!(view.last_error.unwrap().contains("no step payload"));
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn every_queue_of_a_worker_is_served(pool: PgPool) {
    let done = || act(|_, _| async { Ok(Done::nothing()) });
    let worker =
        Running::start(quick("w", &pool).handler(Step(done())).handler(Other(done())).slots("side", 1)).await;
    let here = enqueue(&pool, step(json!(1))).await;
    let there = enqueue(&pool, task("other")).await;
    until_final(&pool, here).await;
    until_final(&pool, there).await;
    worker.stop().await;
}
