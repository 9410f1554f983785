//! Ends of runs that the database does not take at once, or never.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use spool_queue::{Batch, Done, Outcome, TaskId, TaskState};
use sqlx::PgPool;

use crate::harness::{Act, Running, Step, act, outcomes, quick, step, until_final};

async fn enqueue_many(pool: &PgPool, tasks: i64) -> Vec<TaskId> {
    let mut batch = Batch::new();
    for n in 0..tasks {
        batch.add(step(json!(n)));
    }
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    made.bell.ring(pool).await;
    made.ids
}

fn counting() -> (Arc<AtomicUsize>, Act) {
    let runs = Arc::new(AtomicUsize::new(0));
    let count = runs.clone();
    let act = act(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        async { Ok(Done::nothing()) }
    });
    (runs, act)
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn behind_pgbouncer_a_commit_that_fails_loses_no_end(pool: PgPool) {
    // The first three commits that end a task fail, as when the server goes away just then.
    sqlx::raw_sql(
        "create sequence failures;
         create function fail() returns trigger language plpgsql as $$
             begin
                 if nextval('failures') <= 3 then raise exception 'gone' using errcode = '57P01'; end if;
                 return null;
             end $$;
         create constraint trigger fail after delete on queue.task deferrable initially deferred
             for each row execute function fail();",
    )
    .execute(&pool)
    .await
    .unwrap();
    let (runs, act) = counting();
    let worker = Running::start(quick("w", &pool).pgbouncer(true).handler(Step(act))).await;
    for id in enqueue_many(&pool, 20).await {
        assert_eq!(until_final(&pool, id).await.attempt, 1);
        assert_eq!(outcomes(&pool, id).await, ["done"]);
    }
    assert_eq!(runs.load(Ordering::SeqCst), 20);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn an_outcome_that_the_database_refuses_fails_its_task_and_no_other(pool: PgPool) {
    for pgbouncer in [false, true] {
        let picky = act(|payload, _| async move {
            if payload == json!(7) {
                // No timestamp of Postgres is that late.
                return Ok(Outcome::park_in(Duration::MAX, "for ever").into());
            }
            Ok(Done::nothing())
        });
        let worker = Running::start(quick("w", &pool).pgbouncer(pgbouncer).handler(Step(picky))).await;
        for (n, id) in enqueue_many(&pool, 20).await.into_iter().enumerate() {
            let task = until_final(&pool, id).await;
            if n == 7 {
                assert_eq!(task.state, TaskState::Failed);
                assert!(task.last_error.unwrap().contains("cannot be recorded"));
            } else {
                assert_eq!((task.state, outcomes(&pool, id).await), (TaskState::Succeeded, vec!["done"]));
            }
        }
        worker.stop().await;
    }
}
