//! Unique keys: how long they are held, what happens to the second, and many enqueuers at once.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use serde_json::json;
use spool_queue::{
    Batch, Conflict, Done, EnqueueError, Enqueued, Failure, NewTask, Outcome, TaskId, TaskState, Unique,
    control,
};
use sqlx::PgPool;

use crate::harness::{Running, Step, act, enqueue, quick, step, until, until_final, view};

const HOUR: Duration = Duration::from_secs(3600);

async fn try_enqueue(pool: &PgPool, task: NewTask) -> Result<Enqueued, EnqueueError> {
    task.enqueue(&mut pool.acquire().await.unwrap()).await
}

/// The task, and whether it is new.
async fn put(pool: &PgPool, task: NewTask) -> (TaskId, bool) {
    let made = try_enqueue(pool, task).await.unwrap();
    (made.ids[0], made.existing.is_empty() && made.replaced.is_empty())
}

fn keyed(unique: Unique) -> NewTask {
    step(json!("payload")).unique(unique)
}

/// As if so much time had passed since the key was taken.
async fn age(pool: &PgPool, hours: i32) {
    sqlx::query!("update queue.hold set until = until - make_interval(hours => $1)", hours)
        .execute(pool)
        .await
        .unwrap();
}

async fn run_all(pool: &PgPool, id: TaskId, result: fn() -> Result<Done, Failure>) -> TaskState {
    let worker =
        Running::start(quick("w", pool).handler(Step(act(move |_, _| async move { result() })))).await;
    let state = until_final(pool, id).await.state;
    worker.stop().await;
    state
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn the_same_json_is_the_same_payload(pool: PgPool) {
    #[derive(serde::Serialize)]
    struct OneWay {
        a: i32,
        b: (bool, &'static str),
    }
    #[derive(serde::Serialize)]
    struct OtherWay {
        b: (bool, &'static str),
        a: i32,
    }
    let b = (true, "c");
    let one = NewTask::new("step", "main", 1, &OneWay { a: 1, b }).unique(Unique::by_payload());
    let other = |a| NewTask::new("step", "main", 1, &OtherWay { b, a }).unique(Unique::by_payload());
    let (first, new) = put(&pool, one).await;
    assert!(new);
    assert_eq!(put(&pool, other(1)).await, (first, false));
    assert!(put(&pool, other(2)).await.1);
    let other_kind = NewTask::new("hasty", "main", 1, &OtherWay { b, a: 1 });
    assert!(put(&pool, other_kind.unique(Unique::by_payload())).await.1);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn within_a_period_a_success_still_counts(pool: PgPool) {
    let unique = || Unique::by_key("k").within(HOUR);
    let (first, _) = put(&pool, keyed(unique())).await;
    assert_eq!(put(&pool, keyed(unique())).await, (first, false));
    assert_eq!(run_all(&pool, first, || Ok(Done::nothing())).await, TaskState::Succeeded);
    assert_eq!(put(&pool, keyed(unique())).await, (first, false));
    // The history may be dropped before the period is over: the key is still known.
    sqlx::query!("delete from queue.task_history").execute(&pool).await.unwrap();
    assert_eq!(put(&pool, keyed(unique())).await, (first, false));
    age(&pool, 1).await;
    let (second, new) = put(&pool, keyed(unique())).await;
    assert!(new);
    // Past the period, but in the queue.
    age(&pool, 2).await;
    assert_eq!(put(&pool, keyed(unique())).await, (second, false));
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn what_failed_or_was_canceled_holds_no_period(pool: PgPool) {
    for unique in [Unique::by_key("k").within(HOUR), Unique::by_key("o").once_per(HOUR * 24 * 365)] {
        let (first, _) = put(&pool, keyed(unique.clone())).await;
        assert_eq!(run_all(&pool, first, || Err(Failure::fail("no", "never"))).await, TaskState::Failed);
        let (second, new) = put(&pool, keyed(unique.clone())).await;
        assert!(new);
        let canceled =
            control::cancel_task(&mut pool.acquire().await.unwrap(), second, "not wanted").await.unwrap();
        canceled.bell.ring(&pool).await;
        let (third, new) = put(&pool, keyed(unique.clone())).await;
        assert!(new);
        assert_eq!(put(&pool, keyed(unique)).await, (third, false));
    }
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn once_per_period_follows_the_calendar(pool: PgPool) {
    let unique = || Unique::by_key("k").once_per(HOUR);
    put(&pool, keyed(unique())).await;
    let aligned = sqlx::query_scalar!(
        r#"select until = date_trunc('hour', t.created_at) + interval '1 hour' as "so!" from queue.hold join queue.task t on t.id = task_id"#
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert!(aligned);
    // The last period's task still waits, and does not hold this one.
    age(&pool, 1).await;
    assert!(put(&pool, keyed(unique())).await.1);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn while_waiting_a_running_task_does_not_count(pool: PgPool) {
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let hold = gate.clone();
    let slow = act(move |_, _| {
        let hold = hold.clone();
        async move {
            hold.acquire().await.unwrap().forget();
            Ok(Done::nothing())
        }
    });
    let unique = || Unique::by_key("k").while_waiting();
    let (first, _) = put(&pool, keyed(unique())).await;
    assert_eq!(put(&pool, keyed(unique())).await, (first, false));
    let worker = Running::start(quick("w", &pool).slots("main", 1).handler(Step(slow))).await;
    until("it to run", || async { view(&pool, first).await.state == TaskState::Running }).await;
    let (second, new) = put(&pool, keyed(unique())).await;
    assert!(new);
    assert_eq!(put(&pool, keyed(unique())).await, (second, false));
    gate.add_permits(2);
    until_final(&pool, second).await;
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_waiting_holder_starts_only_after_the_commit_that_met_it(pool: PgPool) {
    let unique = || Unique::by_key("k").while_waiting();
    let (first, _) = put(&pool, keyed(unique())).await;
    let mut tx = pool.begin().await.unwrap();
    let met = keyed(unique()).enqueue(&mut tx).await.unwrap();
    assert_eq!(met.ids[0], first);
    let worker =
        Running::start(quick("w", &pool).handler(Step(act(|_, _| async { Ok(Done::nothing()) })))).await;
    // The worker claims what came later, not the one that the open transaction counts on.
    let free = enqueue(&pool, step(json!("free"))).await;
    until_final(&pool, free).await;
    assert_eq!(view(&pool, first).await.state, TaskState::Ready);
    tx.commit().await.unwrap();
    until_final(&pool, first).await;
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn replace_gives_a_waiting_task_other_work(pool: PgPool) {
    for unique in [Unique::by_key("k"), Unique::by_key("w").while_waiting(), Unique::by_key("p").within(HOUR)]
    {
        let (first, _) = put(&pool, step(json!(1)).unique(unique.clone()).delay(HOUR)).await;
        let unique = unique.on_conflict(Conflict::Replace);
        let later = try_enqueue(&pool, step(json!(2)).unique(unique.clone()).priority(3).delay(2 * HOUR))
            .await
            .unwrap();
        assert_eq!((&later.ids[..], later.existing.len(), later.replaced.len()), (&[first][..], 0, 1));
        assert!(later.bell.is_silent());
        let seen = view(&pool, first).await;
        assert_eq!((seen.payload, seen.state), (json!(2), TaskState::Scheduled));
        let now = try_enqueue(&pool, step(json!(3)).unique(unique)).await.unwrap();
        assert_eq!((&now.ids[..], now.replaced.len()), (&[first][..], 1));
        assert!(!now.bell.is_silent());
        let seen = view(&pool, first).await;
        assert_eq!((seen.payload, seen.state), (json!(3), TaskState::Ready));
    }
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn replace_touches_nothing_that_has_begun(pool: PgPool) {
    let parks = act(|_, run| async move {
        let tx = run.pool().begin().await?;
        Ok(run.commit(tx, Outcome::park_in(HOUR, "outside")).await?)
    });
    let parked = enqueue(&pool, step(json!("parks")).unique_key("k")).await;
    let worker = Running::start(quick("w", &pool).handler(Step(parks))).await;
    until("it to park", || async { view(&pool, parked).await.state == TaskState::Parked }).await;
    worker.stop().await;
    let replace = || Unique::by_key("k").on_conflict(Conflict::Replace);
    let made = try_enqueue(&pool, step(json!("new")).unique(replace())).await.unwrap();
    assert_eq!((&made.ids[..], made.existing.len(), made.replaced.len()), (&[parked][..], 1, 0));
    assert_eq!(view(&pool, parked).await.payload, json!("parks"));
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn the_deadline_of_what_was_replaced_goes_with_it(pool: PgPool) {
    let replace = || step(json!(1)).unique(Unique::by_key("k").on_conflict(Conflict::Replace)).delay(HOUR);
    let deadline =
        || async { sqlx::query_scalar!("select expires_at from queue.task").fetch_one(&pool).await.unwrap() };
    let (first, second) = ("2998-01-01T00:00:00Z".parse().unwrap(), "2999-01-01T00:00:00Z".parse().unwrap());
    put(&pool, replace().deadline(first)).await;
    assert_eq!(deadline().await, Some(first));
    put(&pool, replace().deadline(second)).await;
    assert_eq!(deadline().await, Some(second));
    put(&pool, replace()).await;
    assert_eq!(deadline().await, None);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn replace_never_touches_a_running_task(pool: PgPool) {
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let hold = gate.clone();
    let echo = act(move |payload, _| {
        let hold = hold.clone();
        async move {
            hold.acquire().await.unwrap().forget();
            Done::output(&payload)
        }
    });
    let worker = Running::start(quick("w", &pool).handler(Step(echo))).await;
    for unique in [Unique::by_key("k"), Unique::by_key("p").within(HOUR)] {
        let first = enqueue(&pool, step(json!("first")).unique(unique.clone())).await;
        until("it to run", || async { view(&pool, first).await.state == TaskState::Running }).await;
        let replace = unique.on_conflict(Conflict::Replace);
        let made = try_enqueue(&pool, step(json!("new")).unique(replace)).await.unwrap();
        assert_eq!((&made.ids[..], made.existing.len(), made.replaced.len()), (&[first][..], 1, 0));
        assert_eq!(view(&pool, first).await.payload, json!("first"));
        gate.add_permits(1);
        assert_eq!(until_final(&pool, first).await.output, Some(json!("first")));
    }
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_batch_replaces_in_its_own_order(pool: PgPool) {
    let (old, _) = put(&pool, step(json!("old")).unique_key("a")).await;
    let replace = |key: &str| Unique::by_key(key).on_conflict(Conflict::Replace);
    let mut batch = Batch::new();
    let a = batch.add(step(json!("a")).unique(replace("a")));
    let b = batch.add(step(json!("b")).unique(replace("b")));
    let b_again = batch.add(step(json!("b again")).unique(replace("b")));
    let a_again = batch.add(step(json!("a again")).unique(replace("a")));
    let kept = batch.add(step(json!("kept out")).unique_key("a"));
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    assert_eq!((made.id(a), made.id(a_again), made.id(kept)), (old, old, old));
    assert_eq!((made.existing, made.replaced), (vec![kept], vec![a, b_again, a_again]));
    assert_eq!(view(&pool, old).await.payload, json!("a again"));
    assert_eq!(view(&pool, made.ids[b.index()]).await.payload, json!("b again"));
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn report_names_the_key_and_who_has_it(pool: PgPool) {
    for unique in [Unique::by_key("the key"), Unique::by_key("period").within(HOUR)] {
        let unique = unique.on_conflict(Conflict::Report);
        let (first, _) = put(&pool, keyed(unique.clone())).await;
        let error = try_enqueue(&pool, keyed(unique)).await.unwrap_err();
        let said = error.to_string();
        let EnqueueError::Taken { key, task, .. } = error else { unreachable!("{said}") };
        assert_eq!(task, first);
        assert_eq!(said, format!("enqueue: the key {key:?} of step tasks is held by task {first}"));
    }
}

/// Everybody begins, then everybody enqueues, half of them commit late and some roll back.
async fn race(pool: &PgPool, unique: &Unique) -> (BTreeSet<TaskId>, usize) {
    let one = |n: usize| {
        let (pool, unique) = (pool.clone(), unique.clone());
        tokio::spawn(async move {
            let mut tx = pool.begin().await.unwrap();
            let made = step(json!("same")).unique(unique).enqueue(&mut tx).await.unwrap();
            if n.is_multiple_of(5) {
                tx.rollback().await.unwrap();
                return None;
            }
            tokio::task::yield_now().await;
            tx.commit().await.unwrap();
            Some((made.ids[0], made.existing.is_empty()))
        })
    };
    let done: Vec<(TaskId, bool)> =
        join_all((0..60).map(one)).await.into_iter().filter_map(|one| one.unwrap()).collect();
    let new = done.iter().filter(|(_, new)| *new).count();
    (done.into_iter().map(|(id, _)| id).collect(), new)
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn of_many_enqueuers_at_once_exactly_one_enqueues(pool: PgPool) {
    let key = Unique::by_key("k");
    let ways = [
        key.clone(),
        key.clone().while_waiting(),
        key.clone().within(HOUR),
        key.once_per(HOUR * 24 * 365),
        Unique::by_payload(),
    ];
    for (way, unique) in ways.into_iter().enumerate() {
        let (ids, new) = race(&pool, &unique).await;
        assert_eq!((ids.len(), new), (1, 1), "way {way}");
        let rows =
            sqlx::query_scalar!(r#"select count(*) as "n!" from queue.task"#).fetch_one(&pool).await.unwrap();
        assert_eq!(rows, 1, "way {way}");
        sqlx::query!("delete from queue.task").execute(&pool).await.unwrap();
        // The rows of `hold` stay: the next way takes the key over.
        age(&pool, 24 * 366).await;
    }
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn batches_with_the_same_keys_in_other_orders_do_not_deadlock(pool: PgPool) {
    let insert = |n: usize| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let mut batch = Batch::new();
            for i in 0..40 {
                let key = format!("{}", (i * 7 + n * 13) % 40);
                let unique = Unique::by_key(key).on_conflict(Conflict::Replace);
                let unique = if n.is_multiple_of(2) { unique } else { unique.within(HOUR) };
                batch.add(step(json!([n, i])).unique(unique));
            }
            let mut tx = pool.begin().await.unwrap();
            let made = batch.insert(&mut tx).await.unwrap();
            tx.commit().await.unwrap();
            made.ids.len()
        })
    };
    let sizes: Vec<usize> = join_all((0..16).map(insert)).await.into_iter().map(|one| one.unwrap()).collect();
    assert!(sizes.iter().all(|&size| size == 40));
    let rows =
        sqlx::query_scalar!(r#"select count(*) as "n!" from queue.task"#).fetch_one(&pool).await.unwrap();
    assert_eq!(rows, 80);
}
