//! Enqueuing: in the caller's transaction, one or thousands, unique or not.

use std::time::Duration;

use serde_json::json;
use spool_queue::{Batch, EnqueueError, NewTask, OnFailure, PAYLOAD_LIMIT, TaskState, Unique};
use sqlx::PgPool;

use crate::harness::{Running, Step, act, enqueue, quick, step, until_final, view};

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_rolled_back_transaction_leaves_nothing(pool: PgPool) {
    let plain = || step(json!(1));
    let ways: [fn(spool_queue::NewTask) -> spool_queue::NewTask; 4] = [
        |task| task,
        |task| task.unique_key("k"),
        |task| task.unique(Unique::by_payload().within(Duration::from_secs(60))),
        |task| task.unique(Unique::by_key("k").while_waiting()),
    ];
    for way in ways {
        let mut tx = pool.begin().await.unwrap();
        let one = way(plain()).enqueue(&mut tx).await.unwrap();
        let mut batch = Batch::new();
        let parent = batch.add(plain());
        let child = batch.add(plain());
        batch.after(child, parent, OnFailure::Cancel);
        batch.after_existing(parent, one.ids[0], OnFailure::Cancel);
        let two = batch.insert(&mut tx).await.unwrap();
        tx.rollback().await.unwrap();
        // A bell that rings in vain does no harm.
        one.bell.ring(&pool).await;
        two.bell.ring(&pool).await;
        let left = sqlx::query_scalar!(
            r#"select (select count(*) from queue.task) + (select count(*) from queue.edge) + (select count(*) from queue.hold) as "n!""#
        );
        assert_eq!(left.fetch_one(&pool).await.unwrap(), 0);
        // The key that was held for a moment is free.
        let mut tx = pool.begin().await.unwrap();
        assert!(way(plain()).enqueue(&mut tx).await.unwrap().existing.is_empty());
        tx.rollback().await.unwrap();
    }
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn nobody_sees_or_runs_a_task_before_the_commit(pool: PgPool) {
    let worker = Running::start(
        quick("w", &pool).handler(Step(act(|_, _| async { Ok(spool_queue::Done::nothing()) }))),
    )
    .await;
    let mut tx = pool.begin().await.unwrap();
    let first = step(json!("first")).enqueue(&mut tx).await.unwrap();
    let second = enqueue(&pool, step(json!("second"))).await;
    until_final(&pool, second).await;
    let unseen = spool_queue::inspect::task(&mut pool.acquire().await.unwrap(), first.ids[0]).await.unwrap();
    assert!(unseen.is_none());
    tx.commit().await.unwrap();
    first.bell.ring(&pool).await;
    until_final(&pool, first.ids[0]).await;
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn ten_thousand_large_ones_go_in_one_call(pool: PgPool) {
    // 40 MB of payloads: more than one statement.
    let text = "x".repeat(4000);
    let mut batch = Batch::new();
    let slots: Vec<_> = (0..10_000)
        .map(|n| {
            let task = step(json!([n, text]));
            batch.add(if n % 1000 == 7 { task.unique_key(format!("key {n}")) } else { task })
        })
        .collect();
    let last = slots[9999];
    for &slot in &slots[..50] {
        batch.after(last, slot, OnFailure::Run);
    }
    let mut tx = pool.begin().await.unwrap();
    let made = batch.insert(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    assert!(made.existing.is_empty());
    assert_eq!(view(&pool, made.id(slots[6543])).await.payload[0], json!(6543));
    assert_eq!(view(&pool, made.id(last)).await.waits_for.len(), 50);
    let count = sqlx::query_scalar!(r#"select count(*) as "n!" from queue.task"#);
    assert_eq!(count.fetch_one(&pool).await.unwrap(), 10_000);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn thousands_go_in_one_call_and_come_in_order(pool: PgPool) {
    let mut batch = Batch::new();
    let slots: Vec<_> = (0..3000).map(|n| batch.add(step(json!(n)).group_key("many"))).collect();
    let mut tx = pool.begin().await.unwrap();
    let made = batch.insert(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    assert!(made.existing.is_empty() && !made.bell.is_silent());
    assert_eq!(view(&pool, made.id(slots[2999])).await.payload, json!(2999));
    let mut conn = pool.acquire().await.unwrap();
    let all = spool_queue::inspect::tasks_of_group(&mut conn, "many").await.unwrap();
    assert_eq!(all.len(), 3000);
    assert!(all.iter().all(|task| task.state == TaskState::Ready));
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_taken_key_gives_back_the_task_that_has_it(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let first = step(json!(1)).unique_key("k").enqueue(&mut conn).await.unwrap();
    let second = step(json!(2)).unique_key("k").enqueue(&mut conn).await.unwrap();
    assert_eq!(first.ids, second.ids);
    assert_eq!((first.existing.len(), second.existing.len()), (0, 1));
    assert!(second.bell.is_silent());
    // Another kind has keys of its own.
    let other = NewTask::new("hasty", "main", 1, &()).unique_key("k").enqueue(&mut conn).await.unwrap();
    assert_ne!(other.ids, first.ids);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_key_is_free_again_when_its_task_has_ended(pool: PgPool) {
    let worker = Running::start(
        quick("w", &pool).handler(Step(act(|_, _| async { Ok(spool_queue::Done::nothing()) }))),
    )
    .await;
    let first = enqueue(&pool, step(json!(1)).unique_key("k")).await;
    until_final(&pool, first).await;
    let second = enqueue(&pool, step(json!(2)).unique_key("k")).await;
    assert_ne!(first, second);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn taken_keys_do_not_fail_a_batch(pool: PgPool) {
    let old = enqueue(&pool, step(json!("old")).unique_key("a")).await;
    let mut batch = Batch::new();
    let a = batch.add(step(json!("a")).unique_key("a"));
    let b = batch.add(step(json!("b")).unique_key("b"));
    let again = batch.add(step(json!("b again")).unique_key("b"));
    let free = batch.add(step(json!("free")));
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    assert_eq!(made.id(a), old);
    assert_eq!(made.id(b), made.id(again));
    assert_eq!(made.existing, [a, again]);
    assert_eq!(view(&pool, made.id(b)).await.payload, json!("b"));
    assert_eq!(view(&pool, made.id(free)).await.state, TaskState::Ready);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_task_waits_for_the_one_that_had_the_key(pool: PgPool) {
    let old = enqueue(&pool, step(json!("old")).unique_key("a")).await;
    let mut batch = Batch::new();
    let a = batch.add(step(json!("a")).unique_key("a"));
    let twin = batch.add(step(json!("twin")).unique_key("a"));
    let child = batch.add(step(json!("child")));
    batch.after(child, a, OnFailure::Cancel);
    batch.after(child, twin, OnFailure::Cancel);
    batch.after(a, child, OnFailure::Run);
    // The one that was there does not begin to wait, so this is no circle for the queue; it is one for the batch.
    assert!(matches!(batch.insert(&mut pool.acquire().await.unwrap()).await, Err(EnqueueError::Cycle)));

    let mut batch = Batch::new();
    let a = batch.add(step(json!("a")).unique_key("a"));
    let twin = batch.add(step(json!("twin")).unique_key("a"));
    let child = batch.add(step(json!("child")));
    batch.after(child, a, OnFailure::Cancel);
    batch.after(child, twin, OnFailure::Cancel);
    let child = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap().id(child);
    assert_eq!(view(&pool, child).await.waits_for, [old]);
    let worker = Running::start(
        quick("w", &pool).handler(Step(act(|_, _| async { Ok(spool_queue::Done::nothing()) }))),
    )
    .await;
    assert_eq!(until_final(&pool, child).await.state, TaskState::Succeeded);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn delays_are_kept_by_the_database(pool: PgPool) {
    let later = enqueue(&pool, step(json!(1)).delay(Duration::from_secs(60))).await;
    let past = enqueue(&pool, step(json!(1)).run_at("2020-01-01T00:00:00Z".parse().unwrap())).await;
    let future = enqueue(&pool, step(json!(1)).run_at("2999-01-01T00:00:00Z".parse().unwrap())).await;
    assert_eq!(view(&pool, later).await.state, TaskState::Scheduled);
    assert_eq!(view(&pool, past).await.state, TaskState::Ready);
    assert_eq!(view(&pool, future).await.state, TaskState::Scheduled);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn what_is_too_large_or_no_json_is_refused_with_its_reason(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let large = step(json!("x".repeat(PAYLOAD_LIMIT))).enqueue(&mut conn).await.unwrap_err();
    assert_eq!(
        large.to_string(),
        "enqueue: the payload of a step task has 65538 bytes, allowed are 65536; store it elsewhere and pass its key"
    );
    assert!(matches!(large, EnqueueError::TooLarge { bytes: 65538, limit: PAYLOAD_LIMIT, .. }));
    let mut batch = Batch::new();
    batch.add(step(json!(1)));
    batch.add(step(json!("x".repeat(PAYLOAD_LIMIT))));
    assert!(matches!(batch.insert(&mut conn).await, Err(EnqueueError::TooLarge { .. })));
    let just = step(json!("x".repeat(PAYLOAD_LIMIT - 2))).enqueue(&mut conn).await.unwrap();
    assert!(just.existing.is_empty());
    let wrong = NewTask::new("step", "main", 1, &std::collections::HashMap::from([(vec![1], 1)]));
    assert!(matches!(wrong.enqueue(&mut conn).await, Err(EnqueueError::Payload { .. })));
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn higher_priority_runs_first_then_first_come(pool: PgPool) {
    let mut expected = Vec::new();
    for (n, priority) in [(0, 0), (1, 5), (2, -1), (3, 5), (4, 0)] {
        expected.push((-priority, n));
        enqueue(&pool, step(json!(n)).priority(priority)).await;
    }
    expected.sort_unstable();
    let order = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = order.clone();
    let note = act(move |payload, _| {
        seen.lock().unwrap().push(payload.as_i64().unwrap());
        async { Ok(spool_queue::Done::nothing()) }
    });
    let worker = Running::start(quick("w", &pool).slots("main", 1).handler(Step(note))).await;
    crate::harness::until("all to run", || async { order.lock().unwrap().len() == 5 }).await;
    worker.stop().await;
    assert_eq!(*order.lock().unwrap(), expected.into_iter().map(|(_, n)| n).collect::<Vec<i64>>());
}
