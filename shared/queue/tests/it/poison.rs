//! One row that the database refuses to change, or that somebody holds, keeps no round of the worker's own loops from the others.

use std::time::Duration;

use chrono::DateTime;
use serde_json::json;
use spool_queue::{Done, TaskId, TaskState};
use sqlx::{AssertSqlSafe, PgPool};

use crate::harness::{Running, Step, act, enqueue, quick, step, until, until_final, view};

fn quiet() -> Step {
    Step(act(|_, _| async { Ok(Done::nothing()) }))
}

/// From now on the database refuses this change of rows whose payload says "bad".
async fn refuse(pool: &PgPool, table: &str, change: &str, when: &str) {
    let text = format!(
        "create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$;
         create trigger refuse before {change} on queue.{table} for each row when ({when}) execute function refuse()"
    );
    sqlx::raw_sql(AssertSqlSafe(text)).execute(pool).await.unwrap();
}

/// Tasks that a dead worker was running, by their payload, in the order of their numbers.
async fn lost(pool: &PgPool, payloads: &[&str], attempt: i16) -> Vec<TaskId> {
    let mut ids = Vec::new();
    for payload in payloads {
        ids.push(enqueue(pool, step(json!(payload)).max_attempts(2)).await);
    }
    sqlx::query!(
        "with gone as (insert into queue.worker (name, host, pid, slots, lease_until, dead_at) values ('gone', 'h', 1, '{}', now(), now()) returning id)
         update queue.task set state = 4, lease_token = nextval('queue.lease_token'), worker_id = gone.id, claimed_at = now(),
                               deadline_at = now() + interval '1 hour', attempt = $1 from gone",
        attempt
    )
    .execute(pool)
    .await
    .unwrap();
    ids
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_lost_task_that_cannot_be_ended_keeps_no_other_from_it(pool: PgPool) {
    let ids = lost(&pool, &["bad", "good", "held", "good"], 2).await;
    refuse(&pool, "task", "delete", r"old.payload #>> '{}' = 'bad'").await;
    let mut holder = pool.begin().await.unwrap();
    sqlx::query!("select id from queue.task where id = $1 for update", ids[2].0)
        .fetch_one(&mut *holder)
        .await
        .unwrap();
    let worker = Running::start(quick("w", &pool).handler(quiet())).await;
    for id in [ids[1], ids[3]] {
        assert_eq!(until_final(&pool, id).await.state, TaskState::Failed);
    }
    assert_eq!(view(&pool, ids[0]).await.state, TaskState::Running);
    drop(holder);
    until_final(&pool, ids[2]).await;
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_lost_task_that_cannot_be_given_back_keeps_no_other_from_it(pool: PgPool) {
    let ids = lost(&pool, &["bad", "good", "last"], 1).await;
    sqlx::query!("update queue.task set attempt = 2 where id = $1", ids[2].0).execute(&pool).await.unwrap();
    refuse(&pool, "task", "update", r"new.state = 0 and old.payload #>> '{}' = 'bad'").await;
    let worker = Running::start(quick("w", &pool).handler(quiet())).await;
    assert_eq!(until_final(&pool, ids[1]).await.state, TaskState::Succeeded);
    assert_eq!(until_final(&pool, ids[2]).await.state, TaskState::Failed);
    assert_eq!(view(&pool, ids[0]).await.state, TaskState::Running);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_late_task_that_cannot_be_ended_keeps_no_other_from_it(pool: PgPool) {
    let past = DateTime::from_timestamp(1_000_000_000, 0).unwrap();
    let late = |payload: &str| step(json!(payload)).delay(Duration::from_secs(3600)).deadline(past);
    let (bad, held) = (enqueue(&pool, late("bad")).await, enqueue(&pool, late("held")).await);
    let good = enqueue(&pool, late("good")).await;
    refuse(&pool, "task", "delete", r"old.payload #>> '{}' = 'bad'").await;
    let mut holder = pool.begin().await.unwrap();
    sqlx::query!("select id from queue.task where id = $1 for update", held.0)
        .fetch_one(&mut *holder)
        .await
        .unwrap();
    let worker = Running::start(quick("w", &pool).handler(quiet())).await;
    assert_eq!(until_final(&pool, good).await.error_class.as_deref(), Some("deadline"));
    assert_eq!(view(&pool, bad).await.state, TaskState::Scheduled);
    drop(holder);
    until_final(&pool, held).await;
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_task_that_never_comes_due_keeps_no_other_from_it(pool: PgPool) {
    let never = enqueue(&pool, step(json!("never")).delay(Duration::from_secs(3600))).await;
    // Postgres cannot subtract from it.
    sqlx::query!("update queue.task set run_at = 'infinity' where id = $1", never.0)
        .execute(&pool)
        .await
        .unwrap();
    let due = enqueue(&pool, step(json!("due")).delay(Duration::from_millis(50))).await;
    let worker = Running::start(quick("w", &pool).pgbouncer(true).handler(quiet())).await;
    assert_eq!(until_final(&pool, due).await.state, TaskState::Succeeded);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn housekeeping_that_cannot_be_done_keeps_no_other_from_it(pool: PgPool) {
    // The partitions of the coming month are missing, two months are old, and one of those has something that hangs on it.
    sqlx::raw_sql(
        "do $$ declare part text; begin
             select string_agg('queue.' || c.relname, ', ') into part
             from pg_inherits i join pg_class c on c.oid = i.inhrelid
             where i.inhparent in ('queue.task_history'::regclass, 'queue.run'::regclass)
               and c.relname like '%' || to_char(now() at time zone 'UTC' + interval '1 month', 'YYYY_MM');
             execute 'drop table ' || part;
         end $$;
         create table queue.run_2001_01 partition of queue.run for values from ('2001-01-01Z') to ('2001-02-01Z');
         create table queue.run_2001_02 partition of queue.run for values from ('2001-02-01Z') to ('2001-03-01Z');
         create view hangs_on_it as select * from queue.run_2001_01;
         insert into queue.hold (kind, key, task_id, until) values ('step', 'k', 1, '2001-01-01')",
    )
    .execute(&pool)
    .await
    .unwrap();
    refuse(&pool, "hold", "delete", "true").await;
    let worker = Running::start(quick("w", &pool).handler(quiet())).await;
    let there = || async {
        sqlx::query!(
            r#"select to_regclass('queue.run_2001_01') is not null as "hangs!", to_regclass('queue.run_2001_02') is null as "dropped!",
                      to_regclass('queue.task_history_' || to_char(now() at time zone 'UTC' + interval '1 month', 'YYYY_MM')) is not null as "made!""#
        )
        .fetch_one(&pool)
        .await
        .unwrap()
    };
    until("all that can be done", || async {
        let there = there().await;
        there.dropped && there.made
    })
    .await;
    assert!(there().await.hangs);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_loop_that_panicked_goes_on(pool: PgPool) {
    let id = lost(&pool, &["unreadable"], 1).await[0];
    // No program can hold that time.
    sqlx::query!("update queue.task set claimed_at = 'infinity' where id = $1", id.0)
        .execute(&pool)
        .await
        .unwrap();
    let worker = Running::start(quick("w", &pool).handler(quiet())).await;
    let rounds = || async {
        sqlx::query_scalar!(r#"select d.done_at > w.started_at as "so!" from queue.duty d, queue.worker w where d.name = 'reap' and w.name = 'w'"#)
            .fetch_one(&pool)
            .await
            .unwrap()
    };
    until("a round of the reaper", rounds).await;
    // Another worker's task is rescued once nothing is in the way any more.
    sqlx::query!("update queue.task set claimed_at = now() where id = $1", id.0)
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(until_final(&pool, id).await.state, TaskState::Succeeded);
    worker.stop().await;
}
