//! Tasks that wait for tasks.

use serde_json::json;
use spool_queue::{Batch, Done, EnqueueError, Failure, OnFailure, Outcome, TaskId, TaskState, control};
use sqlx::PgPool;

use crate::harness::{Running, Step, act, enqueue, quick, step, until, until_final, view};

/// Does what the payload says.
fn obedient() -> Step {
    Step(act(|payload, _| async move {
        match payload.as_str() {
            Some("fail") => Err(Failure::fail("told", "told to fail")),
            Some("cancel") => Ok(Outcome::Cancel { why: "told to".into() }.into()),
            _ => Ok(Done::nothing()),
        }
    }))
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn fan_out_and_fan_in(pool: PgPool) {
    let mut batch = Batch::new();
    let first = batch.add(step(json!("first")));
    let middle: Vec<_> = (0..50).map(|n| batch.add(step(json!(n)))).collect();
    let last = batch.add(step(json!("last")));
    for &slot in &middle {
        batch.after(slot, first, OnFailure::Cancel);
        batch.after(last, slot, OnFailure::Cancel);
    }
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    assert_eq!(view(&pool, made.id(last)).await.waits_for.len(), 50);
    let worker = Running::start(quick("w", &pool).handler(obedient())).await;
    let last = until_final(&pool, made.id(last)).await;
    assert_eq!(last.state, TaskState::Succeeded);
    for slot in middle {
        let view = view(&pool, made.id(slot)).await;
        assert!(view.state == TaskState::Succeeded && view.finished_at <= last.started_at);
    }
    worker.stop().await;
    let edges = sqlx::query_scalar!("select count(*) from queue.edge").fetch_one(&pool).await.unwrap();
    assert_eq!(edges, Some(0));
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_failure_cancels_down_the_line_but_not_past_run_edges(pool: PgPool) {
    let mut batch = Batch::new();
    let bad = batch.add(step(json!("fail")));
    let good = batch.add(step(json!("good")));
    let child = batch.add(step(json!("child")));
    let grandchild = batch.add(step(json!("grandchild")));
    let survivor = batch.add(step(json!("survivor")));
    let far = batch.add(step(json!("far")));
    batch.after(child, bad, OnFailure::Cancel);
    batch.after(child, good, OnFailure::Cancel);
    batch.after(grandchild, child, OnFailure::Cancel);
    batch.after(survivor, bad, OnFailure::Run);
    batch.after(survivor, good, OnFailure::Cancel);
    batch.after(far, grandchild, OnFailure::Run);
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    let worker = Running::start(quick("w", &pool).handler(obedient())).await;
    for (slot, state) in [
        (bad, TaskState::Failed),
        (child, TaskState::Canceled),
        (grandchild, TaskState::Canceled),
        (survivor, TaskState::Succeeded),
        (far, TaskState::Succeeded),
    ] {
        assert_eq!(until_final(&pool, made.id(slot)).await.state, state, "{slot:?}");
    }
    let why = view(&pool, made.id(child)).await.why.unwrap();
    assert_eq!(why, format!("task {}, which it waits for, failed", made.id(bad)));
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_handler_that_cancels_its_task_cancels_what_waits_for_it(pool: PgPool) {
    let mut batch = Batch::new();
    let parent = batch.add(step(json!("cancel")));
    let child = batch.add(step(json!(1)));
    batch.after(child, parent, OnFailure::Cancel);
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    let worker = Running::start(quick("w", &pool).handler(obedient())).await;
    assert_eq!(until_final(&pool, made.id(parent)).await.why.as_deref(), Some("told to"));
    assert_eq!(until_final(&pool, made.id(child)).await.state, TaskState::Canceled);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn parents_that_have_ended_are_followed_at_insert(pool: PgPool) {
    let worker = Running::start(quick("w", &pool).handler(obedient())).await;
    let good = enqueue(&pool, step(json!("good"))).await;
    let bad = enqueue(&pool, step(json!("fail"))).await;
    until_final(&pool, good).await;
    until_final(&pool, bad).await;
    let mut batch = Batch::new();
    let after_good = batch.add(step(json!(1)));
    let after_bad = batch.add(step(json!(2)));
    let after_canceled = batch.add(step(json!(3)));
    let anyway = batch.add(step(json!(4)));
    batch.after_existing(after_good, good, OnFailure::Cancel);
    batch.after_existing(after_bad, bad, OnFailure::Cancel);
    batch.after(after_canceled, after_bad, OnFailure::Cancel);
    batch.after_existing(anyway, bad, OnFailure::Run);
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    for (slot, state) in [
        (after_good, TaskState::Succeeded),
        (after_bad, TaskState::Canceled),
        (after_canceled, TaskState::Canceled),
        (anyway, TaskState::Succeeded),
    ] {
        assert_eq!(until_final(&pool, made.id(slot)).await.state, state, "{slot:?}");
    }
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn nothing_waits_for_an_unknown_task(pool: PgPool) {
    let mut batch = Batch::new();
    let child = batch.add(step(json!(1)));
    batch.after_existing(child, TaskId(987_654), OnFailure::Run);
    let error = batch.insert(&mut pool.begin().await.unwrap()).await.unwrap_err();
    assert!(matches!(error, EnqueueError::UnknownTask(TaskId(987_654))), "{error}");
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn without_a_transaction_a_batch_is_one_of_its_own(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    let mut batch = Batch::new();
    let (parent, child) = (batch.add(step(json!("parent"))), batch.add(step(json!("child"))));
    batch.after(child, parent, OnFailure::Cancel);
    batch.after_existing(child, TaskId(999_999), OnFailure::Cancel);
    batch.insert(&mut connection).await.unwrap_err();
    assert_eq!(count(&pool).await, 0, "half a batch is left");
    let mut batch = Batch::new();
    let (parent, child) = (batch.add(step(json!("parent"))), batch.add(step(json!("child"))));
    batch.after(child, parent, OnFailure::Cancel);
    let made = batch.insert(&mut connection).await.unwrap();
    assert_eq!((made.ids.len(), count(&pool).await), (2, 2));
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_transaction_that_was_begun_by_hand_is_the_callers(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    sqlx::raw_sql("begin").execute(&mut *connection).await.unwrap();
    let mut batch = Batch::new();
    batch.add(step(json!(1)));
    batch.add(step(json!(2)));
    let made = batch.insert(&mut connection).await.unwrap();
    assert_eq!((made.ids.len(), count(&pool).await), (2, 0), "it is not committed");
    sqlx::raw_sql("rollback").execute(&mut *connection).await.unwrap();
    assert_eq!(count(&pool).await, 0);
}

async fn count(pool: &PgPool) -> i64 {
    sqlx::query_scalar!(r#"select count(*) as "n!" from queue.task"#).fetch_one(pool).await.unwrap()
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn slots_that_one_key_makes_one_task_cannot_wait_for_each_other(pool: PgPool) {
    for between in [0, 1] {
        let mut batch = Batch::new();
        let one = batch.add(step(json!(1)).unique_key("same"));
        let other = batch.add(step(json!(2)).unique_key("same"));
        let mut last = other;
        for n in 0..between {
            let middle = batch.add(step(json!(n)));
            batch.after(middle, last, OnFailure::Run);
            last = middle;
        }
        batch.after(one, last, OnFailure::Run);
        let error = batch.insert(&mut pool.begin().await.unwrap()).await.unwrap_err();
        assert!(matches!(error, EnqueueError::Cycle), "{error}");
    }
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_running_task_hands_its_place_to_a_task_it_adds(pool: PgPool) {
    let mut batch = Batch::new();
    let parent = batch.add(step(json!("split")));
    let child = batch.add(step(json!("child")));
    batch.after(child, parent, OnFailure::Cancel);
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    let (parent, child) = (made.id(parent), made.id(child));
    let split = act(|payload, run| async move {
        if payload != json!("split") {
            return Ok(Done::nothing());
        }
        let mut tx = run.pool().begin().await?;
        let mut batch = Batch::new();
        for n in 0..3 {
            let added = batch.add(step(json!(n)).group_key("added"));
            batch.in_place_of(added, run.task_id());
        }
        let made = batch.insert(&mut tx).await?;
        Ok(run.commit_with(tx, Outcome::done(), made.bell).await?)
    });
    let worker = Running::start(quick("w", &pool).handler(Step(split))).await;
    let child = until_final(&pool, child).await;
    assert_eq!(child.state, TaskState::Succeeded);
    assert_eq!(view(&pool, parent).await.state, TaskState::Succeeded);
    let added =
        spool_queue::inspect::tasks_of_group(&mut pool.acquire().await.unwrap(), "added").await.unwrap();
    assert_eq!(added.len(), 3);
    assert!(
        added.iter().all(|task| task.state == TaskState::Succeeded && task.finished_at <= child.started_at),
        "{child:#?} after {added:#?}"
    );
    // Nothing waits any more, so nobody can take the place.
    let mut batch = Batch::new();
    let late = batch.add(step(json!(1)));
    batch.in_place_of(late, parent);
    let error = batch.insert(&mut pool.begin().await.unwrap()).await.unwrap_err();
    assert!(matches!(error, EnqueueError::AlreadyFinal(id) if id == parent), "{error}");
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_parent_that_ends_while_a_child_is_added_loses_no_edge(pool: PgPool) {
    let parent = enqueue(&pool, step(json!("good"))).await;
    let mut tx = pool.begin().await.unwrap();
    let mut batch = Batch::new();
    let child = batch.add(step(json!("child")));
    batch.after_existing(child, parent, OnFailure::Cancel);
    let child = batch.insert(&mut tx).await.unwrap().id(child);
    // Claims pass the locked row over; it is claimed and ends only after the commit.
    let worker = Running::start(quick("w", &pool).handler(obedient())).await;
    tx.commit().await.unwrap();
    assert_eq!(until_final(&pool, child).await.state, TaskState::Succeeded);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_child_that_is_added_while_the_parent_runs_is_not_missed(pool: PgPool) {
    let go = std::sync::Arc::new(tokio::sync::Notify::new());
    let wait = go.clone();
    let slow = act(move |payload, _| {
        let wait = wait.clone();
        async move {
            if payload == json!("parent") {
                wait.notified().await;
            }
            Ok(Done::nothing())
        }
    });
    let worker = Running::start(quick("w", &pool).handler(Step(slow))).await;
    let parent = enqueue(&pool, step(json!("parent"))).await;
    until("the parent to run", || async { view(&pool, parent).await.state == TaskState::Running }).await;
    let mut tx = pool.begin().await.unwrap();
    let mut batch = Batch::new();
    let child = batch.add(step(json!("child")));
    batch.after_existing(child, parent, OnFailure::Cancel);
    let child = batch.insert(&mut tx).await.unwrap().id(child);
    // The completion does not know of the child; it waits for the lock and must look again.
    go.notify_one();
    until("the completion to wait", || async {
        sqlx::query_scalar!(r#"select count(*) as "n!" from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"#)
            .fetch_one(&pool)
            .await
            .unwrap()
            > 0
    })
    .await;
    tx.commit().await.unwrap();
    assert_eq!(until_final(&pool, child).await.state, TaskState::Succeeded);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn canceling_a_group_cascades_and_spares_others(pool: PgPool) {
    let mut batch = Batch::new();
    let mine = batch.add(step(json!(1)).group_key("mine"));
    let follower = batch.add(step(json!(2)).group_key("other"));
    let spared = batch.add(step(json!(3)).group_key("other"));
    batch.after(follower, mine, OnFailure::Cancel);
    batch.after(spared, mine, OnFailure::Run);
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    let canceled =
        control::cancel_group(&mut pool.acquire().await.unwrap(), "mine", "not wanted").await.unwrap();
    assert_eq!(canceled.ended, [made.id(mine)]);
    assert_eq!(view(&pool, made.id(mine)).await.why.as_deref(), Some("not wanted"));
    assert_eq!(view(&pool, made.id(follower)).await.state, TaskState::Canceled);
    assert_eq!(view(&pool, made.id(spared)).await.state, TaskState::Ready);
}
