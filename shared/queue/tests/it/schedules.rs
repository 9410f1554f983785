//! Schedules: put, fired once by whoever is there, made up for when nobody was, paused.

use std::{num::NonZeroU16, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use spool_queue::{
    Done, NewTask, ScheduleError, TaskId, Unique,
    schedule::{self, Missed, Put, Schedule, ScheduleView},
};
use sqlx::PgPool;

use crate::harness::{Running, Step, act, quick, step, until, until_ended};

const HOUR: Duration = Duration::from_secs(3600);

async fn put(pool: &PgPool, schedule: Schedule) -> Put {
    schedule::put(&mut pool.acquire().await.unwrap(), schedule).await.unwrap()
}

async fn only(pool: &PgPool) -> ScheduleView {
    schedule::list(&mut pool.acquire().await.unwrap()).await.unwrap().remove(0)
}

fn hourly(name: &str) -> Schedule {
    Schedule::every(name, HOUR, step(json!({"for": name}))).unwrap().planned_as("at")
}

/// As if the next planned moment had been so many seconds ago.
async fn overdue(pool: &PgPool, name: &str, seconds: f64) -> DateTime<Utc> {
    sqlx::query_scalar!(
        r#"update queue.schedule set next_at = date_trunc('second', now()) - $2 * interval '1 second' where name = $1 returning next_at as "at!""#,
        name,
        seconds
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

/// The payloads of everything that was ever enqueued.
async fn payloads(pool: &PgPool) -> Vec<Value> {
    sqlx::query_scalar!(
        r#"select payload as "payload!" from (select id, payload from queue.task union all select id, payload from queue.task_history) t order by id"#
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

/// The planned moments of everything that was ever enqueued.
async fn planned(pool: &PgPool) -> Vec<DateTime<Utc>> {
    payloads(pool).await.iter().map(|payload| payload["at"].as_str().unwrap().parse().unwrap()).collect()
}

async fn worker(pool: &PgPool, name: &str) -> Running {
    Running::start(quick(name, pool).handler(Step(act(|_, _| async { Ok(Done::nothing()) })))).await
}

async fn until_caught_up(pool: &PgPool) {
    until("every schedule to be in the future", || async {
        sqlx::query_scalar!(r#"select coalesce(bool_and(next_at > now()), true) as "so!" from queue.schedule where paused_at is null"#)
            .fetch_one(pool)
            .await
            .unwrap()
    })
    .await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn what_is_put_again_unchanged_goes_on_as_it_was(pool: PgPool) {
    let cron =
        |pattern: &str, zone: &str, n: i32| Schedule::cron("c", pattern, zone, step(json!(n))).unwrap();
    let first = put(&pool, cron("0 3 1 1 *", "Europe/Berlin", 1)).await;
    assert!(first.created);
    let moved = overdue(&pool, "c", -7200.0).await;
    // Another payload is no other time.
    let again = put(&pool, cron("0 3 1 1 *", "Europe/Berlin", 2)).await;
    assert_eq!(again, Put { created: false, next_at: Some(moved) });
    let elsewhere = put(&pool, cron("0 3 1 1 *", "America/New_York", 2)).await;
    assert!(elsewhere.next_at.unwrap() > first.next_at.unwrap());
    let interval = put(&pool, Schedule::every("c", HOUR, step(json!(2))).unwrap()).await;
    assert!(interval.next_at.unwrap() < elsewhere.next_at.unwrap());
    let seen = only(&pool).await;
    assert_eq!((seen.cron, seen.zone, seen.every_ms), (None, None, Some(3_600_000)));
    let mut conn = pool.acquire().await.unwrap();
    assert!(schedule::remove(&mut conn, "c").await.unwrap());
    assert!(!schedule::remove(&mut conn, "c").await.unwrap());
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn what_could_not_be_fired_is_refused(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let mut refused = async |schedule: Schedule| schedule::put(&mut conn, schedule).await.unwrap_err();
    let every = |task: NewTask| Schedule::every("s", HOUR, task).unwrap();
    assert!(matches!(refused(every(step(json!(1)).delay(HOUR))).await, ScheduleError::Task { .. }));
    assert!(matches!(
        refused(every(step(json!(1)).unique(Unique::by_payload()))).await,
        ScheduleError::Task { .. }
    ));
    let late = step(json!(1)).deadline("2999-01-01T00:00:00Z".parse().unwrap());
    assert!(matches!(refused(every(late)).await, ScheduleError::Task { .. }));
    assert!(matches!(refused(every(step(json!([1]))).planned_as("at")).await, ScheduleError::Task { .. }));
    let nearly = "x".repeat(spool_queue::PAYLOAD_LIMIT - 10);
    assert!(matches!(
        refused(every(step(json!({"a": nearly}))).planned_as("at")).await,
        ScheduleError::Enqueue(_)
    ));
    let never = Schedule::cron("s", "0 0 30 2 *", "UTC", step(json!(1))).unwrap();
    assert!(matches!(refused(never).await, ScheduleError::Never));
    assert!(matches!(Schedule::every("s", Duration::ZERO, step(json!(1))), Err(ScheduleError::Never)));
    assert!(schedule::list(&mut conn).await.unwrap().is_empty());
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn each_planned_moment_fires_once_whoever_is_there(pool: PgPool) {
    put(&pool, hourly("s")).await;
    let at = overdue(&pool, "s", 1.0).await;
    let (a, b, c) = tokio::join!(worker(&pool, "a"), worker(&pool, "b"), worker(&pool, "c"));
    until_ended(&pool, 1).await;
    until_caught_up(&pool).await;
    let seen = only(&pool).await;
    assert_eq!((seen.next_at, seen.last_at), (Some(at + HOUR), Some(at)));
    assert!(seen.last_task.is_some());
    // A second schedule is seen by all of them, without anybody being told.
    let cron =
        Schedule::cron("every second", "* * * * * *", "UTC", step(json!({}))).unwrap().planned_as("at");
    put(&pool, cron).await;
    until_ended(&pool, 4).await;
    for worker in [a, b, c] {
        worker.stop().await;
    }
    let mut all = planned(&pool).await;
    assert_eq!(all.remove(0), at);
    let count = all.len();
    all.dedup();
    assert_eq!(all.len(), count, "a moment was fired twice");
    assert!(all.iter().all(|at| at.timestamp_subsec_nanos() == 0));
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn what_was_missed_is_made_up_for_as_was_said(pool: PgPool) {
    let all = Missed::All { at_most: NonZeroU16::new(3).unwrap() };
    for (name, missed) in [("skip", Missed::Skip), ("once", Missed::Once), ("all", all)] {
        put(&pool, hourly(name).missed(missed)).await;
        overdue(&pool, name, 5.0 * 3600.0 + 1200.0).await;
    }
    let worker = worker(&pool, "w").await;
    until_caught_up(&pool).await;
    worker.stop().await;
    let payloads = payloads(&pool).await;
    let count = |name: &str| payloads.iter().filter(|payload| payload["for"] == name).count();
    assert_eq!((count("skip"), count("once"), count("all")), (0, 1, 3));
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_crash_before_the_commit_neither_loses_nor_doubles_a_firing(pool: PgPool) {
    put(&pool, hourly("s")).await;
    let at = overdue(&pool, "s", 1.0).await;
    // The first three commits of a firing are lost with their connection, as when the process is killed.
    sqlx::raw_sql(
        "create sequence crashes;
         create function crash() returns trigger language plpgsql as $$
             begin
                 if nextval('crashes') <= 3 then perform pg_terminate_backend(pg_backend_pid()); end if;
                 return null;
             end $$;
         create constraint trigger crash after update on queue.schedule deferrable initially deferred
             for each row when (old.next_at is distinct from new.next_at) execute function crash();",
    )
    .execute(&pool)
    .await
    .unwrap();
    // Every crash takes a look with it, so more than one worker looks.
    let workers = [
        worker(&pool, "a").await,
        worker(&pool, "b").await,
        worker(&pool, "c").await,
        worker(&pool, "d").await,
    ];
    until_caught_up(&pool).await;
    until_ended(&pool, 1).await;
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(planned(&pool).await, [at]);
    assert_eq!(only(&pool).await.next_at, Some(at + HOUR));
    let crashes =
        sqlx::query_scalar!(r#"select last_value as "n!" from pg_sequences where sequencename = 'crashes'"#);
    assert!(crashes.fetch_one(&pool).await.unwrap() > 3);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_pause_is_no_miss(pool: PgPool) {
    put(&pool, hourly("s").missed(Missed::All { at_most: NonZeroU16::MAX })).await;
    let mut conn = pool.acquire().await.unwrap();
    assert!(schedule::pause(&mut conn, "s").await.unwrap());
    assert!(!schedule::pause(&mut conn, "s").await.unwrap());
    let at = overdue(&pool, "s", 3.0 * 3600.0 + 5.0).await;
    // Putting it again does not wake it.
    put(&pool, hourly("s")).await;
    put(&pool, hourly("other")).await;
    overdue(&pool, "other", 1.0).await;
    let worker = worker(&pool, "w").await;
    until_ended(&pool, 1).await;
    assert_eq!(payloads(&pool).await[0]["for"], "other");
    assert!(schedule::resume(&mut conn, "s").await.unwrap());
    assert!(!schedule::resume(&mut conn, "s").await.unwrap());
    let seen = schedule::list(&mut conn).await.unwrap();
    assert_eq!(seen[1].next_at, Some(at + 4 * HOUR));
    until_caught_up(&pool).await;
    worker.stop().await;
    assert_eq!(payloads(&pool).await.len(), 1);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn without_overlap_a_moment_is_passed_over_while_the_last_task_is_there(pool: PgPool) {
    put(&pool, hourly("s").no_overlap()).await;
    // Nobody runs tasks of this kind: the first stays in the queue.
    sqlx::query!("update queue.schedule set kind = 'nobody'").execute(&pool).await.unwrap();
    let first = overdue(&pool, "s", 1.0).await;
    let worker = worker(&pool, "w").await;
    until_caught_up(&pool).await;
    overdue(&pool, "s", 0.0).await;
    until_caught_up(&pool).await;
    assert_eq!((planned(&pool).await, only(&pool).await.last_at), (vec![first], Some(first)));
    sqlx::query!("delete from queue.task").execute(&pool).await.unwrap();
    let third = overdue(&pool, "s", 0.0).await;
    until_caught_up(&pool).await;
    worker.stop().await;
    assert_eq!(planned(&pool).await, [third]);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn one_that_cannot_be_fired_stops_no_other(pool: PgPool) {
    for name in ["bad", "elsewhere", "good", "heavy", "refused"] {
        put(&pool, hourly(name)).await;
    }
    sqlx::raw_sql(
        "update queue.schedule set cron = 'every full moon', zone = 'UTC', every_ms = null where name = 'bad';
         update queue.schedule set cron = '* * * * *', zone = 'Moon/Sea_of_Clouds', every_ms = null where name = 'elsewhere';
         update queue.schedule set payload = json_build_object('x', repeat('x', 66000)) where name = 'heavy';
         create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
         create trigger refuse before update on queue.schedule for each row
             when (old.name = 'refused' and new.next_at > old.next_at) execute function refuse();",
    )
    .execute(&pool)
    .await
    .unwrap();
    overdue(&pool, "bad", 5.0).await;
    overdue(&pool, "elsewhere", 4.0).await;
    overdue(&pool, "heavy", 3.0).await;
    overdue(&pool, "refused", 2.0).await;
    overdue(&pool, "good", 1.0).await;
    // Postgres cannot subtract it, and no program can read it.
    for (name, at) in [("past", "-infinity"), ("future", "infinity")] {
        put(&pool, hourly(name)).await;
        let text = format!("update queue.schedule set next_at = '{at}' where name = '{name}'");
        sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(&pool).await.unwrap();
    }
    let worker = worker(&pool, "w").await;
    until_ended(&pool, 1).await;
    worker.stop().await;
    sqlx::query!("delete from queue.schedule where not isfinite(next_at)").execute(&pool).await.unwrap();
    assert_eq!(payloads(&pool).await.len(), 1);
    let seen = schedule::list(&mut pool.acquire().await.unwrap()).await.unwrap();
    let bad = &seen[0];
    assert!(bad.next_at.is_none() && bad.fault.as_ref().unwrap().contains("every full moon"), "{bad:?}");
    for (stands, why) in [(&seen[1], "Moon/Sea_of_Clouds"), (&seen[3], "bytes")] {
        assert!(stands.next_at.is_none() && stands.fault.as_ref().unwrap().contains(why), "{stands:?}");
    }
    // Putting it right sets it going again.
    assert!(put(&pool, hourly("bad")).await.next_at.is_some());
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn its_tasks_are_what_was_said(pool: PgPool) {
    let task = step(json!({"a": 1}))
        .priority(-3)
        .group_key("g")
        .share_key("s")
        .max_attempts(2)
        .timeout(Duration::from_secs(9));
    put(&pool, Schedule::every("s", HOUR, task).unwrap()).await;
    sqlx::query!("update queue.schedule set kind = 'nobody', version = 4").execute(&pool).await.unwrap();
    overdue(&pool, "s", 1.0).await;
    // Behind PgBouncer it is the same.
    let worker = Running::start(
        quick("w", &pool).pgbouncer(true).handler(Step(act(|_, _| async { Ok(Done::nothing()) }))),
    )
    .await;
    until_caught_up(&pool).await;
    worker.stop().await;
    let row = sqlx::query!("select id, kind, queue, version, priority, group_key, share_key, max_attempts, timeout_ms, payload from queue.task")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!((row.kind.as_str(), row.queue.as_str(), row.version, row.priority), ("nobody", "main", 4, -3));
    assert_eq!((row.group_key.as_deref(), row.share_key.as_deref()), (Some("g"), Some("s")));
    assert_eq!((row.max_attempts, row.timeout_ms, row.payload), (Some(2), Some(9000), json!({"a": 1})));
    assert_eq!(only(&pool).await.last_task, Some(TaskId(row.id)));
}
