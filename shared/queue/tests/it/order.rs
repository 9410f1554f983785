//! In which order tasks are taken.

use std::sync::Arc;

use serde_json::json;
use spool_queue::Done;
use sqlx::{Connection, PgPool};
use tokio::sync::Semaphore;

use crate::harness::{Running, Step, act, enqueue, quick, step, until, until_ended};

/// Enqueues tasks by priority and minutes of waiting, runs them one by one, and gives their numbers in the order they were taken.
async fn order(pool: &PgPool, tasks: &[(i16, i64)]) -> Vec<i64> {
    for (n, &(priority, minutes)) in tasks.iter().enumerate() {
        let id = enqueue(pool, step(json!(n)).priority(priority)).await;
        let minutes = minutes as f64;
        sqlx::query!(
            "update queue.task set run_at = now() - $2 * interval '1 minute' where id = $1",
            id.0,
            minutes
        )
        .execute(pool)
        .await
        .unwrap();
    }
    let worker = quick("w", pool).slots("main", 1).handler(Step(act(|_, _| async { Ok(Done::nothing()) })));
    let worker = Running::start(worker).await;
    until_ended(pool, tasks.len() as i64).await;
    worker.stop().await;
    let taken = sqlx::query_scalar!(
        r#"select (payload #>> '{}')::bigint as "n!" from queue.task_history order by lease_token"#
    );
    taken.fetch_all(pool).await.unwrap()
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn priority_goes_first_and_then_who_waits_longest(pool: PgPool) {
    assert_eq!(order(&pool, &[(0, 5), (3, 4), (0, 6), (9, 0), (3, 5)]).await, [3, 4, 1, 2, 0]);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn what_has_waited_long_enough_is_not_starved_by_what_is_more_important(pool: PgPool) {
    // A minute of waiting is worth a point of priority.
    let mut tasks = vec![(0, 12), (-5, 30)];
    tasks.extend((0..20).map(|n| (10, n % 2)));
    let order = order(&pool, &tasks).await;
    assert_eq!(order[..2], [1, 0]);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn what_comes_before_the_place_of_a_slow_look_is_found(pool: PgPool) {
    for n in 0..10 {
        enqueue(&pool, step(json!(n))).await;
    }
    let gate = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&gate);
    let worker = quick("w", &pool).slots("main", 1).handler(Step(act(move |n, _| {
        let waits = Arc::clone(&waits);
        async move {
            if n == 0 || n == 1 {
                waits.acquire().await.unwrap().forget();
            }
            Ok(Done::nothing())
        }
    })));
    let worker = Running::start(worker).await;
    let is_running = async |n: i32| {
        sqlx::query_scalar!(
            r#"select exists (select from queue.task where worker_id is not null and payload::text = $1) as "so!""#,
            n.to_string()
        )
        .fetch_one(&pool)
        .await
        .unwrap()
    };
    until("the first to run", || is_running(0)).await;
    // A claim reads this table: while it is locked, and for a twentieth of a second more, the second is not claimed.
    let mut conn = pool.acquire().await.unwrap();
    let mut lock = conn.begin().await.unwrap();
    sqlx::query!("lock table queue.queue in access exclusive mode").execute(&mut *lock).await.unwrap();
    gate.add_permits(1);
    until("the claim to wait", || async {
        sqlx::query_scalar!(
            r#"select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
                              and query like '%order by queue.rank(run_at, priority), id%skip locked%') as "so!""#
        )
        .fetch_one(&pool)
        .await
        .unwrap()
    })
    .await;
    sqlx::query!("select pg_sleep(0.05)").fetch_one(&mut *lock).await.unwrap();
    lock.commit().await.unwrap();
    until("the second to run", || is_running(1)).await;
    enqueue(&pool, step(json!(10)).priority(100)).await;
    gate.add_permits(1);
    until_ended(&pool, 11).await;
    worker.stop().await;
}
