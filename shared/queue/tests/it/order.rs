//! In which order tasks are taken.

use serde_json::json;
use spool_queue::Done;
use sqlx::PgPool;

use crate::harness::{Running, Step, act, enqueue, quick, step, until_ended};

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
