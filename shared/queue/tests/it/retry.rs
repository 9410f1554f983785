//! What is dead comes back: one, with what hangs on it, many by a filter.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use spool_queue::{
    Batch, ControlError, Done, Enqueued, Failure, NewTask, OnFailure, TaskId, TaskState, control,
    control::{Reach, Retried},
    inspect::{self, Dead},
};
use sqlx::PgPool;

use crate::harness::{Step, act, enqueue, outcomes, quick, step, until, view};

/// Tasks by the name in their payload that fail when they run.
#[derive(Clone, Default)]
struct Bad(Arc<Mutex<BTreeSet<String>>>);

impl Bad {
    fn these(names: &[&str]) -> Self {
        Self(Arc::new(Mutex::new(names.iter().map(|&name| name.to_owned()).collect())))
    }

    fn heal(&self, name: &str) {
        self.0.lock().unwrap().remove(name);
    }

    async fn drain(&self, pool: &PgPool) {
        let bad = self.clone();
        let handler = Step(act(move |payload: Value, _| {
            let name = payload.as_str().unwrap_or_default().to_owned();
            let fails = bad.0.lock().unwrap().contains(&name);
            async move {
                if fails { Err(Failure::fail("told", format!("{name} fails"))) } else { Done::output(&name) }
            }
        }));
        quick("w", pool).handler(handler).drain().await.unwrap();
    }
}

fn named(name: &str) -> NewTask {
    step(json!(name)).group_key("g")
}

/// Tasks by name, in the order of `names`, and who waits for whom.
async fn graph(
    pool: &PgPool,
    names: &[&str],
    edges: &[(&str, &str, OnFailure)],
) -> impl Fn(&str) -> TaskId + use<> {
    let mut batch = Batch::new();
    let slots: Vec<_> = names.iter().map(|name| batch.add(named(name))).collect();
    let index = |name: &str| names.iter().position(|other| *other == name).unwrap();
    for (child, parent, rule) in edges {
        batch.after(slots[index(child)], slots[index(parent)], *rule);
    }
    let Enqueued { ids, .. } = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    move |name| ids[names.iter().position(|other| other == name).unwrap()]
}

async fn retry(pool: &PgPool, task: TaskId, reach: Reach) -> Result<Retried, ControlError> {
    control::retry(&mut pool.acquire().await.unwrap(), task, reach).await
}

async fn state(pool: &PgPool, id: TaskId) -> TaskState {
    view(pool, id).await.state
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_failed_task_has_all_its_attempts_again(pool: PgPool) {
    let runs = Arc::new(Mutex::new(0));
    let heals = || {
        let runs = runs.clone();
        Step(act(move |_, _| {
            *runs.lock().unwrap() += 1;
            let n = *runs.lock().unwrap();
            async move { if n <= 3 { Err(Failure::retry("net", "down")) } else { Ok(Done::nothing()) } }
        }))
    };
    let id = enqueue(&pool, step(json!(1)).unique_key("k")).await;
    quick("w", &pool).handler(heals()).drain().await.unwrap();
    let dead = view(&pool, id).await;
    assert_eq!((dead.state, dead.attempt, dead.error_class.as_deref()), (TaskState::Failed, 3, Some("net")));
    let retried = retry(&pool, id, Reach::Alone).await.unwrap();
    assert_eq!(retried.tasks, [id]);
    assert!(!retried.bell.is_silent());
    assert_eq!((state(&pool, id).await, view(&pool, id).await.attempt), (TaskState::Ready, 0));
    quick("w", &pool).handler(heals()).drain().await.unwrap();
    assert_eq!(outcomes(&pool, id).await, ["retry", "retry", "failed", "done"]);
    // One place at a time: the first end is a run now, not a second row of the history.
    let rows = sqlx::query_scalar!(r#"select count(*) as "n!" from queue.task_history"#);
    assert_eq!(rows.fetch_one(&pool).await.unwrap(), 1);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn only_the_dead_come_back(pool: PgPool) {
    let id = enqueue(&pool, step(json!("a"))).await;
    for what in ["alive", "succeeded"] {
        let error = retry(&pool, id, Reach::Downstream).await.unwrap_err();
        assert!(matches!(error, ControlError::NotDead(task) if task == id), "{what}: {error}");
        Bad::default().drain(&pool).await;
    }
    let unknown = retry(&pool, TaskId(404), Reach::Alone).await.unwrap_err();
    assert!(matches!(unknown, ControlError::NotDead(TaskId(404))), "{unknown}");
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_canceled_task_comes_back_too(pool: PgPool) {
    let id = enqueue(&pool, step(json!("a")).delay(Duration::from_secs(60))).await;
    let _ = control::cancel_task(&mut pool.acquire().await.unwrap(), id, "no").await.unwrap();
    let _ = retry(&pool, id, Reach::Alone).await.unwrap();
    Bad::default().drain(&pool).await;
    assert_eq!(outcomes(&pool, id).await, ["done"]);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_taken_key_keeps_the_dead_away(pool: PgPool) {
    let bad = Bad::these(&["old"]);
    let old = enqueue(&pool, step(json!("old")).unique_key("k")).await;
    bad.drain(&pool).await;
    let new = enqueue(&pool, step(json!("new")).unique_key("k")).await;
    for reach in [Reach::Alone, Reach::Downstream] {
        let error = retry(&pool, old, reach).await.unwrap_err();
        assert!(matches!(error, ControlError::KeyTaken(task) if task == old), "{error}");
    }
    let retried =
        control::retry_where(&mut pool.acquire().await.unwrap(), &Dead::failed(), Reach::Alone).await;
    assert!(retried.unwrap().tasks.is_empty());
    assert_eq!((state(&pool, old).await, state(&pool, new).await), (TaskState::Failed, TaskState::Ready));
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn of_two_dead_with_one_key_the_newer_comes_back(pool: PgPool) {
    let bad = Bad::these(&["x"]);
    let older = enqueue(&pool, step(json!("x")).unique_key("k")).await;
    bad.drain(&pool).await;
    let newer = enqueue(&pool, step(json!("x")).unique_key("k")).await;
    bad.drain(&pool).await;
    let retried =
        control::retry_where(&mut pool.acquire().await.unwrap(), &Dead::failed(), Reach::Alone).await;
    assert_eq!(retried.unwrap().tasks, [newer]);
    assert_eq!(state(&pool, older).await, TaskState::Failed);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn of_two_at_once_the_second_finds_nothing(pool: PgPool) {
    let bad = Bad::these(&["x"]);
    let id = graph(&pool, &["x", "y"], &[("y", "x", OnFailure::Cancel)]).await;
    bad.drain(&pool).await;
    let mut first = pool.begin().await.unwrap();
    assert_eq!(control::retry(&mut first, id("x"), Reach::Downstream).await.unwrap().tasks.len(), 2);
    let (other, x) = (pool.clone(), id("x"));
    let second = tokio::spawn(async move { retry(&other, x, Reach::Downstream).await.map(|_| ()) });
    until("the second to wait", || async {
        sqlx::query_scalar!(r#"select count(*) as "n!" from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"#)
            .fetch_one(&pool)
            .await
            .unwrap()
            > 0
    })
    .await;
    first.commit().await.unwrap();
    let second = second.await.unwrap();
    assert!(matches!(second, Err(ControlError::NotDead(task)) if task == x), "{second:?}");
    bad.heal("x");
    bad.drain(&pool).await;
    assert_eq!(outcomes(&pool, id("x")).await, ["failed", "done"]);
    assert_eq!(outcomes(&pool, id("y")).await, ["done"]);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_step_comes_back_with_what_could_not_follow_it(pool: PgPool) {
    use OnFailure::{Cancel, Run};
    let names = ["start", "bad", "good", "join", "end", "anyway", "elsewhere"];
    let edges = [
        ("bad", "start", Cancel),
        ("good", "start", Cancel),
        ("join", "bad", Cancel),
        ("join", "good", Cancel),
        ("end", "join", Cancel),
        ("anyway", "bad", Run),
    ];
    let id = graph(&pool, &names, &edges).await;
    let bad = Bad::these(&["bad"]);
    bad.drain(&pool).await;
    let why = view(&pool, id("end")).await;
    assert_eq!((why.state, why.error_class.as_deref()), (TaskState::Canceled, Some("parent")));
    bad.heal("bad");
    let mut retried = retry(&pool, id("bad"), Reach::Downstream).await.unwrap().tasks;
    retried.sort_unstable();
    assert_eq!(retried, [id("bad"), id("join"), id("end")]);
    assert_eq!(view(&pool, id("join")).await.waits_for, [id("bad")]);
    assert_eq!(view(&pool, id("end")).await.waits_for, [id("join")]);
    bad.drain(&pool).await;
    for name in names {
        assert_eq!(state(&pool, id(name)).await, TaskState::Succeeded, "{name}");
    }
    for name in ["start", "good", "anyway"] {
        assert_eq!(outcomes(&pool, id(name)).await, ["done"], "{name} ran once");
    }
    let edges = sqlx::query_scalar!(r#"select count(*) as "n!" from queue.edge"#);
    assert_eq!(edges.fetch_one(&pool).await.unwrap(), 0);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn what_another_dead_task_holds_stays_dead(pool: PgPool) {
    use OnFailure::Cancel;
    let id = graph(
        &pool,
        &["one", "two", "join", "last"],
        &[("join", "one", Cancel), ("join", "two", Cancel), ("last", "join", Cancel)],
    )
    .await;
    let bad = Bad::these(&["one", "two"]);
    bad.drain(&pool).await;
    bad.heal("one");
    assert_eq!(retry(&pool, id("one"), Reach::Downstream).await.unwrap().tasks, [id("one")]);
    assert_eq!(state(&pool, id("join")).await, TaskState::Canceled);
    bad.heal("two");
    // The first one is alive again, the second comes back: nothing holds the rest.
    assert_eq!(retry(&pool, id("two"), Reach::Downstream).await.unwrap().tasks.len(), 3);
    assert_eq!(view(&pool, id("join")).await.waits_for, [id("one"), id("two")]);
    bad.drain(&pool).await;
    assert_eq!(state(&pool, id("last")).await, TaskState::Succeeded);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn alone_means_alone_and_passes_dead_parents_over(pool: PgPool) {
    let id = graph(&pool, &["bad", "child"], &[("child", "bad", OnFailure::Cancel)]).await;
    let bad = Bad::these(&["bad"]);
    bad.drain(&pool).await;
    assert_eq!(retry(&pool, id("child"), Reach::Alone).await.unwrap().tasks, [id("child")]);
    bad.drain(&pool).await;
    assert_eq!(state(&pool, id("child")).await, TaskState::Succeeded);
    assert_eq!(retry(&pool, id("bad"), Reach::Alone).await.unwrap().tasks, [id("bad")]);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn what_a_person_canceled_does_not_follow(pool: PgPool) {
    let id = graph(&pool, &["bad", "child"], &[("child", "bad", OnFailure::Cancel)]).await;
    let _ = control::cancel_task(&mut pool.acquire().await.unwrap(), id("child"), "no").await.unwrap();
    Bad::these(&["bad"]).drain(&pool).await;
    assert_eq!(retry(&pool, id("bad"), Reach::Downstream).await.unwrap().tasks, [id("bad")]);
    assert_eq!(state(&pool, id("child")).await, TaskState::Canceled);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_canceled_group_comes_back_in_its_order(pool: PgPool) {
    use OnFailure::Cancel;
    let id = graph(&pool, &["c", "a", "b"], &[("b", "a", Cancel), ("c", "b", Cancel)]).await;
    let mut conn = pool.acquire().await.unwrap();
    let _ = control::cancel_group(&mut conn, "g", "stop").await.unwrap();
    let filter = Dead::canceled().group_key("g");
    let retried = control::retry_where(&mut conn, &filter, Reach::Alone).await.unwrap();
    assert_eq!(retried.tasks.len(), 3);
    assert_eq!(state(&pool, id("a")).await, TaskState::Ready);
    assert_eq!(view(&pool, id("b")).await.waits_for, [id("a")]);
    assert_eq!(view(&pool, id("c")).await.waits_for, [id("b")]);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_dry_run_says_what_the_run_then_does(pool: PgPool) {
    let mut batch = Batch::new();
    for name in ["x", "x", "y"] {
        let parent = batch.add(named(name));
        let child = batch.add(named("child"));
        batch.after(child, parent, OnFailure::Cancel);
    }
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    let bad = Bad::these(&["x", "y"]);
    bad.drain(&pool).await;
    sqlx::query!("update queue.task_history set error_class = 'other' where id = $1", made.ids[4].0)
        .execute(&pool)
        .await
        .unwrap();
    let mut conn = pool.acquire().await.unwrap();
    let filter = Dead::failed().queue("main").kind("step").group_key("g").error_class("told");
    let dry = control::retry_dry_run(&mut conn, &filter, Reach::Downstream).await.unwrap();
    assert_eq!((dry.total(), dry.downstream), (2, 2));
    assert_eq!(
        (dry.matching[0].kind.as_str(), dry.matching[0].error_class.as_deref()),
        ("step", Some("told"))
    );
    let alone = control::retry_dry_run(&mut conn, &filter, Reach::Alone).await.unwrap();
    assert_eq!((alone.total(), alone.downstream), (2, 0));
    assert_eq!(inspect::count_dead(&mut conn, &Dead::failed()).await.unwrap().len(), 2);
    let retried = control::retry_where(&mut conn, &filter, Reach::Downstream).await.unwrap();
    assert_eq!(retried.tasks.len(), 4);
    let none = Dead::failed().kind("step").error_class("nothing");
    assert_eq!(control::retry_dry_run(&mut conn, &none, Reach::Downstream).await.unwrap().total(), 0);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_parent_that_ends_while_its_child_comes_back_is_not_missed(pool: PgPool) {
    let id = graph(&pool, &["parent", "child"], &[("child", "parent", OnFailure::Cancel)]).await;
    let _ = control::cancel_task(&mut pool.acquire().await.unwrap(), id("child"), "no").await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    let _ = control::retry(&mut tx, id("child"), Reach::Alone).await.unwrap();
    // The parent is locked, so it ends after the commit at the earliest, and then finds the child.
    let bad = Bad::default();
    let other = pool.clone();
    let draining = tokio::spawn(async move { bad.drain(&other).await });
    tx.commit().await.unwrap();
    draining.await.unwrap();
    assert_eq!(state(&pool, id("child")).await, TaskState::Succeeded);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_deadline_that_has_passed_is_dropped(pool: PgPool) {
    let past = chrono::DateTime::from_timestamp(1_000_000_000, 0).unwrap();
    let id = enqueue(&pool, step(json!("a")).delay(Duration::from_secs(3600)).deadline(past)).await;
    sqlx::query!("select * from queue.expire(10)").fetch_one(&pool).await.unwrap();
    assert_eq!(state(&pool, id).await, TaskState::Failed);
    let _ = retry(&pool, id, Reach::Alone).await.unwrap();
    assert_eq!(view(&pool, id).await.deadline, None);
    Bad::default().drain(&pool).await;
    assert_eq!(state(&pool, id).await, TaskState::Succeeded);
}
