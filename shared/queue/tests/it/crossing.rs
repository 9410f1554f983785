//! Commands that cross each other and a worker that goes on. Nothing deadlocks, nothing is lost or doubled.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use spool_queue::{
    Batch, ControlError, Done, Failure, OnFailure, Outcome, TaskId, TaskState, Unique, control,
    control::Reach,
    inspect::{self, Dead},
};
use sqlx::{PgConnection, PgPool};

use crate::harness::{Running, Step, act, enqueue, quick, sound, step, until, view};

const GROUPS: u64 = 4;
const ROUNDS: usize = 60;

fn group(chance: &mut StdRng) -> String {
    format!("g{}", chance.random_range(0..GROUPS))
}

/// Fails, parks, stands in for itself or just ends, as chance has it.
fn fickle() -> Step {
    Step(act(|_: Value, run| async move {
        match rand::random_range(0..10) {
            0 | 1 => Err(Failure::fail("told", "chance")),
            2 => Ok(Outcome::park_in(Duration::from_millis(5), "chance").into()),
            3 => Err(Failure::retry("chance", "again")),
            4 if run.attempt() == 1 => {
                let mut tx = run.pool().begin().await?;
                let mut batch = Batch::new();
                let part = batch.add(step(json!("part")).group_key(run.group_key().unwrap_or("g0")));
                batch.in_place_of(part, run.task_id());
                let made = batch.insert(&mut tx).await?;
                Ok(run.commit_with(tx, Outcome::done(), made.bell).await?)
            }
            _ => Ok(Done::nothing()),
        }
    }))
}

async fn enqueue_graph(conn: &mut PgConnection, chance: &mut StdRng) {
    let mut batch = Batch::new();
    let slots: Vec<_> = (0..8)
        .map(|n| {
            let mut task = step(json!(n)).group_key(group(chance));
            if chance.random_bool(0.1) {
                task = task.deadline(chrono::DateTime::from_timestamp(1_000_000_000, 0).unwrap());
            }
            batch.add(task)
        })
        .collect();
    for _ in 0..12 {
        let (a, b) = (chance.random_range(0..8), chance.random_range(0..8));
        let rule = [OnFailure::Cancel, OnFailure::Count, OnFailure::Run][chance.random_range(0..3)];
        // Not always the later one waits for the earlier one: the order of the numbers is not that of the graph.
        let (parent, child) = (a.min(b), a.max(b));
        if parent != child {
            batch.after(slots[7 - child], slots[7 - parent], rule);
        }
    }
    for &slot in &slots {
        batch.at_least(slot, chance.random_range(0..3));
    }
    let _ = batch.insert(conn).await.unwrap();
}

async fn command(conn: &mut PgConnection, chance: &mut StdRng) -> Result<(), ControlError> {
    let reach = if chance.random() { Reach::Alone } else { Reach::Downstream };
    let some = TaskId(chance.random_range(1..400));
    match chance.random_range(0..9) {
        0 => control::cancel_group(conn, &group(chance), "storm").await.map(drop),
        1 => control::cancel_task(conn, some, "storm").await.map(drop),
        2 | 3 => control::retry_where(conn, &Dead::failed().group_key(group(chance)), reach).await.map(drop),
        4 => control::retry_where(conn, &Dead::canceled().group_key(group(chance)), reach).await.map(drop),
        5 => match control::retry(conn, some, reach).await {
            Err(ControlError::NotDead(_)) => Ok(()),
            other => other.map(drop),
        },
        6 => control::run_now(conn, some).await.map(drop),
        7 => inspect::timeline(conn, some).await.map(drop),
        _ => {
            enqueue_graph(conn, chance).await;
            Ok(())
        }
    }
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn commands_that_cross_neither_deadlock_nor_break_a_task(pool: PgPool) {
    let worker = Running::start(quick("w", &pool).slots("main", 8).handler(fickle())).await;
    let storms: Vec<_> = (0..4)
        .map(|seed| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut chance = StdRng::seed_from_u64(seed);
                for _ in 0..ROUNDS {
                    let mut tx = pool.begin().await.unwrap();
                    command(&mut tx, &mut chance).await.unwrap();
                    tx.commit().await.unwrap();
                }
            })
        })
        .collect();
    for storm in storms {
        storm.await.unwrap();
    }
    worker.stop().await;
    sound(&pool).await;
    let deadlocks = sqlx::query_scalar!(
        r#"select deadlocks as "n!" from pg_stat_database where datname = current_database()"#
    );
    assert_eq!(deadlocks.fetch_one(&pool).await.unwrap(), 0);
    let wrong = sqlx::query!(
        r#"select (select count(*) from queue.task t where waits <> (select count(*) from queue.edge e where e.child = t.id)) as "counters!",
                  (select count(*) from queue.edge e where not exists (select from queue.task t where t.id = e.parent and t.has_children)) as "edges!",
                  (select count(*) from queue.task t join queue.task_history h on h.id = t.id) as "twice!",
                  (select count(*) from (select id from queue.task_history group by id having count(*) > 1) d) as "ends!",
                  (select last_value from queue.task_id) - (select count(*) from queue.task) - (select count(*) from queue.task_history) as "lost!""#
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!((wrong.counters, wrong.edges, wrong.twice, wrong.ends, wrong.lost), (0, 0, 0, 0, 0));
    let ended = sqlx::query_scalar!(r#"select count(*) as "n!" from queue.task_history"#);
    assert!(ended.fetch_one(&pool).await.unwrap() > 100);
}

/// One transaction holds a task and then wants a key, as a run that has checked its lease does; the other wants both too.
#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn who_waits_for_a_task_does_not_have_the_key_that_its_run_wants(pool: PgPool) {
    let parent = enqueue(&pool, step(json!("parent")).delay(Duration::from_secs(3600))).await;
    for unique in [Unique::by_key("k"), Unique::by_key("p").within(Duration::from_secs(3600))] {
        let mut run = pool.begin().await.unwrap();
        sqlx::query!("select id from queue.task where id = $1 for no key update", parent.0)
            .fetch_one(&mut *run)
            .await
            .unwrap();
        let (other, key) = (pool.clone(), unique.clone());
        let waiting = tokio::spawn(async move {
            let mut tx = other.begin().await.unwrap();
            let mut batch = Batch::new();
            let child = batch.add(step(json!("child")).unique(key));
            batch.after_existing(child, parent, OnFailure::Run);
            let made = batch.insert(&mut tx).await.map(|made| made.existing.len());
            tx.commit().await.unwrap();
            made
        });
        until("the other to wait for the task", || async {
            sqlx::query_scalar!(
                r#"select count(*) as "n!" from pg_stat_activity where datname = current_database() and state = 'active'
                   and pid <> pg_backend_pid() and (query like '%lock_all(%' or query like '%expect(%')"#
            )
            .fetch_one(&pool)
            .await
            .unwrap()
                == 1
        })
        .await;
        let made = step(json!("of the run")).unique(unique).enqueue(&mut run).await.unwrap();
        assert!(made.existing.is_empty());
        run.commit().await.unwrap();
        made.bell.ring(&pool).await;
        assert_eq!(waiting.await.unwrap().unwrap(), 1);
    }
}

/// One that waits for a lock, with `words` in its statement.
async fn until_one_waits(pool: &PgPool, words: &str) {
    until("the other to wait for a lock", || async {
        sqlx::query_scalar!(
            r#"select count(*) as "n!" from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
               and strpos(query, $1) > 0"#,
            words
        )
        .fetch_one(pool)
        .await
        .unwrap()
            == 1
    })
    .await;
}

/// The parent comes back after the child's retry has looked at it, and goes again before that is done: nobody would tell the child.
#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn what_comes_back_waits_for_nobody_who_came_back_behind_its_back(pool: PgPool) {
    let hour = Duration::from_secs(3600);
    let mut batch = Batch::new();
    let parent = batch.add(step(json!("parent")).delay(hour));
    let child = batch.add(step(json!("child")).unique(Unique::by_key("k").within(hour)));
    batch.after(child, parent, OnFailure::Run);
    let mut conn = pool.acquire().await.unwrap();
    let made = batch.insert(&mut conn).await.unwrap();
    let (parent, child) = (made.id(parent), made.id(child));
    control::cancel_tasks(&mut conn, &[parent, child], "both").await.unwrap();

    let mut key = pool.begin().await.unwrap();
    sqlx::query!("select from queue.hold for update").fetch_one(&mut *key).await.unwrap();
    let (other, alone) = (pool.clone(), Reach::Alone);
    let retry = tokio::spawn(async move {
        let mut tx = other.begin().await.unwrap();
        let retried = control::retry(&mut tx, child, alone).await.map(|retried| retried.tasks);
        tx.commit().await.unwrap();
        retried
    });
    until_one_waits(&pool, "queue.revive(").await;
    control::retry(&mut conn, parent, alone).await.unwrap();
    let mut gone = pool.begin().await.unwrap();
    let ender =
        sqlx::query_scalar!(r#"select pg_backend_pid() as "pid!""#).fetch_one(&mut *gone).await.unwrap();
    control::cancel_task(&mut gone, parent, "again").await.unwrap();
    key.rollback().await.unwrap();
    // Now it is done, or it stands at the row of the parent.
    until("the child's retry to go on", || async {
        let stands = sqlx::query_scalar!(
            r#"select exists (select from pg_stat_activity where $1 = any(pg_blocking_pids(pid))) as "so!""#,
            ender
        );
        retry.is_finished() || stands.fetch_one(&pool).await.unwrap()
    })
    .await;
    gone.commit().await.unwrap();
    assert_eq!(retry.await.unwrap().unwrap(), [child]);
    sound(&pool).await;
}

/// It has ended when the cancel locks its tasks, and comes back while that waits: others may hold it now, and run it.
#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_cancel_ends_only_what_it_has_locked(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let held = enqueue(&pool, step(json!("held")).delay(Duration::from_secs(3600))).await;
    let back = enqueue(&pool, step(json!("back"))).await;
    control::cancel_task(&mut conn, back, "at first").await.unwrap();

    let mut lock = pool.begin().await.unwrap();
    sqlx::query!("select from queue.task where id = $1 for update", held.0)
        .fetch_one(&mut *lock)
        .await
        .unwrap();
    let other = pool.clone();
    let cancel = tokio::spawn(async move {
        let mut tx = other.begin().await.unwrap();
        let ended =
            control::cancel_tasks(&mut tx, &[held, back], "both").await.map(|canceled| canceled.ended);
        tx.commit().await.unwrap();
        ended
    });
    // For some seconds it tries, then it waits.
    until_one_waits(&pool, "queue.cancel(").await;
    control::retry(&mut conn, back, Reach::Alone).await.unwrap();
    lock.rollback().await.unwrap();
    assert_eq!(cancel.await.unwrap().unwrap(), [held]);
    assert_eq!(view(&pool, back).await.state, TaskState::Ready);
}
