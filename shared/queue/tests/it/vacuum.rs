//! Who claims much clears the hot table before autovacuum comes.

use spool_queue::Done;
use sqlx::PgPool;

use crate::harness::{Running, Step, act, quick, until};

/// More than a worker claims before it asks whether it is time.
const MANY: i64 = 12_000;

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_worker_that_claims_much_clears_the_hot_table_itself(pool: PgPool) {
    // So that it is not autovacuum that does it.
    sqlx::raw_sql("alter table queue.task set (autovacuum_enabled = false)").execute(&pool).await.unwrap();
    let worker = Running::start(
        quick("w", &pool).slots("main", 1000).handler(Step(act(|_, _| async { Ok(Done::nothing()) }))),
    )
    .await;
    until("a vacuum of the hot table", || async {
        let waiting =
            sqlx::query_scalar!(r#"select count(*) as "n!" from queue.task"#).fetch_one(&pool).await.unwrap();
        if waiting == 0 {
            sqlx::query!(
                "insert into queue.task (queue, kind, payload, state) select 'main', 'step', '{}', 0 from generate_series(1, $1::bigint)",
                MANY
            )
            .execute(&pool)
            .await
            .unwrap();
        }
        sqlx::query_scalar!(r#"select pg_stat_get_vacuum_count('queue.task'::regclass) > 0 as "so!""#)
            .fetch_one(&pool)
            .await
            .unwrap()
    })
    .await;
    worker.stop().await;
}
