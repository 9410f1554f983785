//! A dead task that comes back has its unique key again, or stays dead because another has it.

use std::time::Duration;

use serde_json::json;
use spool_queue::{
    ControlError, Done, Enqueued, Failure, NewTask, TaskId, TaskState, Unique,
    control::{self, Reach, Retried},
    inspect::Dead,
};
use sqlx::PgPool;

use crate::harness::{Running, Step, act, quick, sound, step, until, view};

const HOUR: Duration = Duration::from_secs(3600);

fn keyed(unique: &Unique) -> NewTask {
    step(json!("payload")).unique(unique.clone())
}

/// The task, and whether it is new.
async fn put(pool: &PgPool, task: NewTask) -> (TaskId, bool) {
    let Enqueued { ids, existing, .. } = task.enqueue(&mut pool.acquire().await.unwrap()).await.unwrap();
    (ids[0], existing.is_empty())
}

/// Runs everything with this result.
async fn run_all(pool: &PgPool, result: fn() -> Result<Done, Failure>) {
    quick("w", pool).handler(Step(act(move |_, _| async move { result() }))).drain().await.unwrap();
    sound(pool).await;
}

fn fails() -> Result<Done, Failure> {
    Err(Failure::fail("told", "told to"))
}

async fn retry(pool: &PgPool, task: TaskId) -> Result<Retried, ControlError> {
    let retried = control::retry(&mut pool.acquire().await.unwrap(), task, Reach::Alone).await;
    sound(pool).await;
    retried
}

/// As if so much time had passed since the keys were taken.
async fn age(pool: &PgPool, hours: i32) {
    for table in ["hold", "former_key"] {
        let text = format!("update queue.{table} set until = until - make_interval(hours => {hours})");
        sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(pool).await.unwrap();
    }
}

fn all_ways() -> [Unique; 4] {
    let key = |name: &str| Unique::by_key(name);
    [
        key("q"),
        key("w").while_waiting(),
        key("p").within(HOUR),
        key("o").once_per(Duration::from_secs(1000 * 86_400)),
    ]
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn one_whose_key_another_has_stays_dead_and_it_is_said(pool: PgPool) {
    for unique in all_ways() {
        let (old, _) = put(&pool, keyed(&unique)).await;
        run_all(&pool, fails).await;
        let (new, is_new) = put(&pool, keyed(&unique)).await;
        assert!(is_new);
        let error = retry(&pool, old).await.unwrap_err();
        assert!(matches!(error, ControlError::KeyTaken(task) if task == old), "{unique:?}: {error}");
        let mut conn = pool.acquire().await.unwrap();
        let dry = control::retry_dry_run(&mut conn, &Dead::failed(), Reach::Alone).await.unwrap();
        assert_eq!((dry.total(), dry.key_taken), (1, 1), "{unique:?}");
        let retried = control::retry_where(&mut conn, &Dead::failed(), Reach::Alone).await.unwrap();
        assert_eq!((&retried.tasks[..], &retried.key_taken[..]), (&[][..], &[old][..]), "{unique:?}");
        drop(conn);
        assert_eq!(view(&pool, old).await.state, TaskState::Failed);
        // When the other has died too the key is free, and then it is taken again.
        let _ = control::cancel_task(&mut pool.acquire().await.unwrap(), new, "no").await.unwrap();
        assert_eq!(retry(&pool, old).await.unwrap().tasks, [old], "{unique:?}");
        assert_eq!(put(&pool, keyed(&unique)).await, (old, false), "{unique:?}");
        assert!(matches!(retry(&pool, new).await, Err(ControlError::KeyTaken(task)) if task == new));
        run_all(&pool, || Ok(Done::nothing())).await;
    }
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_success_within_the_period_keeps_the_dead_away_until_it_is_over(pool: PgPool) {
    let unique = Unique::by_key("k").within(HOUR);
    let (old, _) = put(&pool, keyed(&unique)).await;
    run_all(&pool, fails).await;
    put(&pool, keyed(&unique)).await;
    run_all(&pool, || Ok(Done::nothing())).await;
    assert!(matches!(retry(&pool, old).await, Err(ControlError::KeyTaken(_))));
    age(&pool, 2).await;
    assert_eq!(retry(&pool, old).await.unwrap().tasks, [old]);
    assert_eq!(put(&pool, keyed(&unique)).await, (old, false));
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn of_a_calendar_period_that_is_over_nobody_wants_the_key(pool: PgPool) {
    let unique = Unique::by_key("k").once_per(HOUR);
    let (old, _) = put(&pool, keyed(&unique)).await;
    run_all(&pool, fails).await;
    age(&pool, 2).await;
    let (new, is_new) = put(&pool, keyed(&unique)).await;
    assert!(is_new);
    assert_eq!(retry(&pool, old).await.unwrap().tasks, [old]);
    assert_eq!(put(&pool, keyed(&unique)).await, (new, false));
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn of_two_dead_with_one_key_the_newer_comes_back(pool: PgPool) {
    for unique in all_ways() {
        let (older, _) = put(&pool, keyed(&unique)).await;
        run_all(&pool, fails).await;
        let (newer, _) = put(&pool, keyed(&unique)).await;
        run_all(&pool, fails).await;
        let mut conn = pool.acquire().await.unwrap();
        let dry = control::retry_dry_run(&mut conn, &Dead::failed(), Reach::Alone).await.unwrap();
        assert_eq!((dry.total(), dry.key_taken), (2, 1), "{unique:?}");
        let retried = control::retry_where(&mut conn, &Dead::failed(), Reach::Alone).await.unwrap();
        assert_eq!((&retried.tasks[..], &retried.key_taken[..]), (&[newer][..], &[older][..]), "{unique:?}");
        drop(conn);
        assert_eq!(put(&pool, keyed(&unique)).await, (newer, false), "{unique:?}");
        run_all(&pool, || Ok(Done::nothing())).await;
        sqlx::query!("delete from queue.task_history").execute(&pool).await.unwrap();
    }
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_key_is_not_forgotten_while_its_dead_task_may_come_back(pool: PgPool) {
    let unique = Unique::by_key("k").while_waiting();
    let (dead, _) = put(&pool, keyed(&unique)).await;
    run_all(&pool, fails).await;
    // Long past its time.
    age(&pool, 5).await;
    let keys = |table: &'static str| {
        let text = format!("select count(*) from queue.{table}");
        let pool = pool.clone();
        async move {
            use sqlx::Row;
            let row = sqlx::raw_sql(sqlx::AssertSqlSafe(text)).fetch_one(&pool).await.unwrap();
            row.get::<i64, _>(0)
        }
    };
    let sweep = || async {
        sqlx::query!("update queue.duty set done_at = '-infinity'").execute(&pool).await.unwrap();
        let idle = quick("w", &pool).handler(Step(act(|_, _| async { Ok(Done::nothing()) })));
        Running::start(idle.slots("main", 1)).await
    };
    let worker = sweep().await;
    until("the key to be swept", || async { keys("hold").await == 0 }).await;
    worker.stop().await;
    assert_eq!(retry(&pool, dead).await.unwrap().tasks, [dead]);
    assert_eq!(put(&pool, keyed(&unique)).await, (dead, false));
    run_all(&pool, fails).await;
    age(&pool, 5).await;
    let worker = sweep().await;
    until("the key to be swept", || async { keys("hold").await == 0 }).await;
    worker.stop().await;
    // Nothing is left of it when it cannot come back.
    sqlx::query!("delete from queue.task_history").execute(&pool).await.unwrap();
    let worker = sweep().await;
    until("the former key to be swept", || async { keys("former_key").await == 0 }).await;
    worker.stop().await;
}
