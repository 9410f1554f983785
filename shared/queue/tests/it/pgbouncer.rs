//! Behind PgBouncer in transaction mode: one server connection for a transaction, another for the next.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use spool_queue::{Batch, Done, Failure, OnFailure, Outcome, Run, TaskState, control};
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    bouncer::Bouncer,
    harness::{Running, Step, act, enqueue, outcomes, quick, step, until, until_final, view},
    lacking::Said,
};

async fn obedient(payload: Value, run: Run) -> Result<Done, Failure> {
    match payload.as_str() {
        Some("retry") if run.attempt() == 1 => Err(Failure::retry("told", "told to")),
        Some("park") if run.parks() == 0 => Ok(Outcome::park_in(Duration::from_secs(3600), "told to").into()),
        Some("until canceled") => {
            run.canceled().cancelled().await;
            Err(Failure::retry("told", "stopped"))
        }
        Some("own") => {
            let tx = run.pool().begin().await?;
            Ok(run.commit(tx, Outcome::done()).await?)
        }
        _ => Done::output(&payload),
    }
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn everything_works_through_it(pool: PgPool) {
    let bouncer = Bouncer::before(&pool).await;
    let through = bouncer.pool(&pool);
    let worker = Running::start(quick("w", &through).pgbouncer(true).handler(Step(act(obedient)))).await;

    let mut batch = Batch::new();
    let first = batch.add(step(json!("own")));
    let middle: Vec<_> = (0..20).map(|n| batch.add(step(json!(n)))).collect();
    let last = batch.add(step(json!("retry")));
    for &slot in &middle {
        batch.after(slot, first, OnFailure::Cancel);
        batch.after(last, slot, OnFailure::Cancel);
    }
    let mut tx = through.begin().await.unwrap();
    let made = batch.insert(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let last = made.id(last);
    made.bell.ring(&through).await;
    let last = until_final(&pool, last).await;
    assert_eq!((last.state, last.attempt), (TaskState::Succeeded, 2));
    assert_eq!(outcomes(&pool, last.id).await, ["retry", "done"]);

    let parked = enqueue_through(&through, "park").await;
    until("the park", || async { view(&pool, parked).await.state == TaskState::Parked }).await;
    let mut tx = through.begin().await.unwrap();
    assert_eq!(control::wake(&mut tx, parked).await.unwrap().effect, control::Wake::Ready);
    tx.commit().await.unwrap();
    assert_eq!(until_final(&pool, parked).await.state, TaskState::Succeeded);

    let endless = enqueue_through(&through, "until canceled").await;
    until("the run", || async { view(&pool, endless).await.state == TaskState::Running }).await;
    let mut tx = through.begin().await.unwrap();
    assert_eq!(control::cancel_task(&mut tx, endless, "enough").await.unwrap().asked, [endless]);
    tx.commit().await.unwrap();
    assert_eq!(until_final(&pool, endless).await.state, TaskState::Canceled);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_worker_that_was_not_told_of_it_says_so(pool: PgPool) {
    let said = Said::default();
    let _heard = tracing::subscriber::set_default(said.clone());
    let bouncer = Bouncer::before(&pool).await;
    let stop = CancellationToken::new();
    let builder = quick("w", &bouncer.pool(&pool)).handler(Step(act(obedient)));
    let starting = tokio::spawn(builder.start(stop.clone(), Duration::ZERO));
    until("the sentence", || async { said.has("build the worker with pgbouncer(true)") }).await;
    stop.cancel();
    starting.await.unwrap().unwrap().finished().await;
}

async fn enqueue_through(through: &PgPool, doing: &str) -> spool_queue::TaskId {
    let mut tx = through.begin().await.unwrap();
    let made = step(json!(doing)).enqueue(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    made.bell.ring(through).await;
    made.ids[0]
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_worker_outlives_its_restart(pool: PgPool) {
    let mut bouncer = Bouncer::before(&pool).await;
    let (started, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let runs = Arc::new(AtomicUsize::new(0));
    let (tell, wait, count) = (started.clone(), go.clone(), runs.clone());
    let slow = act(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        let (tell, wait) = (tell.clone(), wait.clone());
        async move {
            tell.notify_one();
            wait.notified().await;
            Ok(Done::nothing())
        }
    });
    let builder = quick("w", &bouncer.pool(&pool)).lease(Duration::from_secs(10)).pgbouncer(true);
    let worker = Running::start(builder.handler(Step(slow))).await;
    let before = enqueue(&pool, step(json!(1))).await;
    started.notified().await;
    bouncer.restart().await;
    go.notify_one();
    assert_eq!(until_final(&pool, before).await.state, TaskState::Succeeded);
    let after = enqueue(&pool, step(json!(2))).await;
    started.notified().await;
    go.notify_one();
    assert_eq!(until_final(&pool, after).await.attempt, 1);
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    worker.stop().await;
}
