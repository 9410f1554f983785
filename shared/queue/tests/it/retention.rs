//! Retention: whole months go when they are old, and nobody has to wait for that.

use std::time::Duration;

use serde_json::json;
use spool_queue::{Done, Unique};
use sqlx::PgPool;

use crate::harness::{Running, Step, act, enqueue, quick, step, until, until_final};

const DAY: Duration = Duration::from_secs(86_400);

/// A month of history and of runs that ended so many months ago, with a row each.
async fn old_month(pool: &PgPool, months_ago: i32) -> String {
    let month = sqlx::query_scalar!(
        r#"select to_char(date_trunc('month', now() at time zone 'UTC') - make_interval(months => $1), 'YYYY_MM') as "month!""#,
        months_ago
    )
    .fetch_one(pool)
    .await
    .unwrap();
    let text = format!(
        "do $$ declare
             lo timestamptz := to_date('{month}', 'YYYY_MM')::timestamp at time zone 'UTC';
             hi timestamptz := (to_date('{month}', 'YYYY_MM')::timestamp + interval '1 month') at time zone 'UTC';
         begin
             execute format('create table queue.task_history_{month} partition of queue.task_history for values from (%L) to (%L)', lo, hi);
             execute format('create table queue.run_{month} partition of queue.run for values from (%L) to (%L)', lo, hi);
             insert into queue.task_history (id, finished_at, created_at, run_at, parks, state, priority, version, attempt, queue, kind, payload)
             values (1000000, lo, lo, lo, 0, 5, 0, 1, 1, 'main', 'step', '1');
             insert into queue.run (task_id, lease_token, ended_at, attempt, outcome, counted) values (1000000, 1, lo, 1, 2, true);
         end $$"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(pool).await.unwrap();
    month
}

async fn partitions(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar!(
        r#"select c.relname::text as "name!" from pg_inherits i join pg_class c on c.oid = i.inhrelid
           where i.inhparent in ('queue.task_history'::regclass, 'queue.run'::regclass) order by 1"#
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

fn named(month: &str) -> [String; 2] {
    [format!("run_{month}"), format!("task_history_{month}")]
}

fn idle(pool: &PgPool) -> spool_queue::WorkerBuilder {
    quick("w", pool).handler(Step(act(|_, _| async { Ok(Done::nothing()) })))
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn months_go_as_a_whole_when_their_last_moment_is_old(pool: PgPool) {
    let before = partitions(&pool).await;
    // The last moment of the month before last is 31 to 62 days ago, that of the fourth before more than 89.
    let (young, old, older) =
        (old_month(&pool, 2).await, old_month(&pool, 5).await, old_month(&pool, 27).await);
    sqlx::query!(
        "insert into queue.task_history_default (id, finished_at, created_at, run_at, parks, state, priority, version, attempt, queue, kind, payload)
         select n, at, at, at, 0, 5, 0, 1, 1, 'main', 'step', '1' from (values (1, timestamptz '2001-02-03'), (2, timestamptz '2999-01-01')) v(n, at)"
    )
    .execute(&pool)
    .await
    .unwrap();
    let worker = Running::start(idle(&pool).retention(89 * DAY)).await;
    until("the old months to go", || async {
        let now = partitions(&pool).await;
        !now.contains(&named(&old)[0]) && !now.contains(&named(&older)[0]) && !now.contains(&named(&old)[1])
    })
    .await;
    let mut expected = before;
    expected.extend(named(&young));
    expected.sort();
    until("the oldest month to go", || async { partitions(&pool).await == expected }).await;
    // What lies in no month goes row by row, after the months.
    until("the old row of no month to go", || async {
        let left = sqlx::query_scalar!(r#"select id from queue.task_history order by 1"#)
            .fetch_all(&pool)
            .await
            .unwrap();
        left == [2, 1_000_000]
    })
    .await;
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn by_default_a_quarter_of_a_year_is_kept(pool: PgPool) {
    let (kept, gone) = (old_month(&pool, 3).await, old_month(&pool, 5).await);
    let worker = Running::start(idle(&pool)).await;
    until("the old month to go", || async { !partitions(&pool).await.contains(&named(&gone)[1]) }).await;
    worker.stop().await;
    assert!(partitions(&pool).await.contains(&named(&kept)[1]));
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_long_reader_of_the_history_makes_nobody_wait(pool: PgPool) {
    let old = old_month(&pool, 30).await;
    // Next month's partition is missing too.
    let next = partitions(&pool).await.into_iter().rfind(|name| name.starts_with("task_history_2")).unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("drop table queue.{next}"))).execute(&pool).await.unwrap();
    let mut reader = pool.begin().await.unwrap();
    sqlx::query_scalar!("select count(*) from queue.task_history").fetch_one(&mut *reader).await.unwrap();
    let worker = Running::start(idle(&pool)).await;
    until("a try to be made", || async {
        sqlx::query_scalar!(
            r#"select done_at > '-infinity' as "so!" from queue.duty where name = 'partitions'"#
        )
        .fetch_one(&pool)
        .await
        .unwrap()
    })
    .await;
    for n in 0..30 {
        let parent = enqueue(&pool, step(json!(n))).await;
        until_final(&pool, parent).await;
        // This enqueue looks at the history for the parent's end.
        let mut batch = spool_queue::Batch::new();
        let child = batch.add(step(json!("child")));
        batch.after_existing(child, parent, spool_queue::OnFailure::Cancel);
        let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
        made.bell.ring(&pool).await;
        until_final(&pool, made.ids[0]).await;
    }
    let now = partitions(&pool).await;
    assert!(now.contains(&named(&old)[1]) && !now.contains(&next), "{now:?}");
    reader.commit().await.unwrap();
    until("the partitions to be dropped and made after all", || async {
        let now = partitions(&pool).await;
        !now.contains(&named(&old)[1]) && now.contains(&next)
    })
    .await;
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn keys_are_forgotten_when_nothing_holds_them(pool: PgPool) {
    let worker = Running::start(idle(&pool)).await;
    let ended = enqueue(&pool, step(json!(1)).unique(Unique::by_key("ended").within(DAY))).await;
    let short = enqueue(&pool, step(json!(1)).unique(Unique::by_key("short").while_waiting())).await;
    until_final(&pool, ended).await;
    until_final(&pool, short).await;
    worker.stop().await;
    enqueue(&pool, step(json!(1)).unique(Unique::by_key("queued").while_waiting())).await;
    enqueue(&pool, step(json!(1)).unique(Unique::by_key("queued too").within(DAY)).delay(DAY)).await;
    sqlx::raw_sql(
        "update queue.hold set until = until - interval '2 hours' where key <> 'queued too';
         update queue.hold set until = until - interval '2 days' where key = 'queued too';
         update queue.duty set done_at = '-infinity'",
    )
    .execute(&pool)
    .await
    .unwrap();
    let worker = Running::start(idle(&pool).slots("main", 1)).await;
    let keys = || async {
        sqlx::query_scalar!("select key from queue.hold order by 1").fetch_all(&pool).await.unwrap()
    };
    until("the keys to be swept", || async { !keys().await.contains(&"short".to_owned()) }).await;
    worker.stop().await;
    let left = keys().await;
    assert!(left.contains(&"ended".to_owned()) && left.contains(&"queued too".to_owned()), "{left:?}");
}

/// A long ANALYZE holds a snapshot, and dead rows of the hot table stay as long.
#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn every_month_is_sampled_little(pool: PgPool) {
    let much = || async {
        sqlx::query_scalar!(
            r#"select distinct attrelid::regclass::text as "name!" from pg_attribute join pg_inherits on inhrelid = attrelid
               where inhparent in ('queue.task_history'::regclass, 'queue.run'::regclass) and attnum > 0 and not attisdropped
                 and attstattarget is distinct from 10"#
        )
        .fetch_all(&pool)
        .await
        .unwrap()
    };
    assert_eq!(much().await, Vec::<String>::new());
    let made = partitions(&pool).await;
    for part in &made {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("drop table queue.{part}"))).execute(&pool).await.unwrap();
    }
    let worker = Running::start(idle(&pool)).await;
    until("the months to be made and sampled", || async {
        partitions(&pool).await == made && much().await.is_empty()
    })
    .await;
    worker.stop().await;
}
