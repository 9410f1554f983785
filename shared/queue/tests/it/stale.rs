//! A run whose task another worker has taken over changes nothing: the whole database is compared, for every way in which a run writes.
//! Progress, which is written apart, has its test in [`super::progress`].

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use spool_queue::{
    Batch, CommitError, Completion, Done, Failure, Handler, NewTask, OnFailure, Outcome, Run, TaskId,
};
use sqlx::{AssertSqlSafe, PgPool, Row};

use crate::harness::{Act, Running, Step, act, enqueue, outcomes, quick, sound, step, until};

/// As [`Step`], but its ends are written one by one.
struct Alone(Act);

impl Handler for Alone {
    const KIND: &'static str = "alone";
    const QUEUE: &'static str = "side";
    const TIMEOUT: Duration = Duration::from_secs(30);
    const COMPLETION: Completion = Completion::Alone;
    type Payload = Value;

    async fn run(&self, payload: Value, run: Run) -> Result<Done, Failure> {
        (self.0)(payload, run).await
    }
}

/// Everything that the queue knows, but for refusals, whose turn it is, and when workers were last heard of.
async fn everything(pool: &PgPool) -> String {
    let tables = "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'queue' and c.relkind in ('r', 'p') and not c.relispartition and c.relname <> 'duty' order by 1";
    let mut all = String::new();
    for row in sqlx::raw_sql(tables).fetch_all(pool).await.unwrap() {
        let table: String = row.get(0);
        let but = if table == "run" { "where outcome <> 8" } else { "" };
        let text = format!(
            "select coalesce(string_agg(line, e'\\n' order by line), '')
             from (select (to_jsonb(t) - 'beat_at' - 'lease_until')::text as line from queue.{table} t {but}) rows"
        );
        let rows: String = sqlx::raw_sql(AssertSqlSafe(text)).fetch_one(pool).await.unwrap().get(0);
        all = all + &table + ":\n" + &rows + "\n";
    }
    let marks = sqlx::raw_sql("select count(*) from mark").fetch_one(pool).await.unwrap();
    all + &format!("marks: {}", marks.get::<i64, _>(0))
}

/// Another worker claims the task, as when this one was given up for dead.
async fn taken_over(pool: &PgPool, id: TaskId) {
    sqlx::query!(
        "with other as (insert into queue.worker (name, host, pid, slots, lease_until) values ('other', 'h', 1, '{}', now() + interval '1 day') returning id)
         update queue.task set lease_token = nextval('queue.lease_token'), worker_id = other.id, claimed_at = now(), attempt = attempt + 1
         from other where task.id = $1",
        id.0
    )
    .execute(pool)
    .await
    .unwrap();
}

/// How a run may end that does not know yet.
const ENDS: [&str; 11] = [
    "done",
    "output",
    "park",
    "park until",
    "retry",
    "retry after",
    "fail",
    "cancel",
    "panic",
    "timeout",
    "unrecordable",
];
/// The same in a transaction of the handler.
const COMMITS: [&str; 7] = ["done", "output", "park", "retry", "fail", "cancel", "children"];

fn outcome(end: &str) -> Outcome {
    match end {
        "done" | "children" => Outcome::done(),
        "output" => Outcome::Done(json!({ "stale": true })),
        "park" => Outcome::park_in(Duration::ZERO, "stale"),
        "park until" => Outcome::Park {
            until: spool_queue::ParkUntil::At(chrono::DateTime::UNIX_EPOCH),
            why: "stale".into(),
        },
        // No database can hold that time.
        "unrecordable" => Outcome::park_in(Duration::MAX, "stale"),
        "retry" => Outcome::Retry { after: None, class: "stale".into(), error: "stale".into() },
        "retry after" => {
            Outcome::Retry { after: Some(Duration::ZERO), class: "stale".into(), error: "stale".into() }
        }
        "fail" => Outcome::Fail { class: "stale".into(), error: "stale".into() },
        "cancel" => Outcome::Cancel { why: "stale".into() },
        other => unreachable!("{other}"),
    }
}

async fn commit(run: &Run, end: &str) -> Result<Done, Failure> {
    let mut tx = run.pool().begin().await?;
    assert!(matches!(run.check(&mut tx).await, Err(CommitError::LeaseLost(_))));
    sqlx::raw_sql("insert into mark values (1)").execute(&mut *tx).await?;
    let bell = if end == "children" {
        let mut batch = Batch::new();
        let child = batch.add(step(json!("child")).unique_key("of a stale run"));
        batch.after_existing(child, run.task_id(), OnFailure::Run);
        let instead = batch.add(step(json!("instead")));
        batch.in_place_of(instead, run.task_id());
        batch.insert(&mut tx).await.unwrap().bell
    } else {
        spool_queue::Bell::silent()
    };
    Ok(run.commit_with(tx, outcome(end), bell).await?)
}

/// What the database was after a handler's task was taken over.
type Seen = Arc<Mutex<Option<String>>>;

fn stale(pool: &PgPool, seen: &Seen) -> Act {
    let (pool, seen) = (pool.clone(), seen.clone());
    act(move |payload, run| {
        let (pool, seen) = (pool.clone(), seen.clone());
        async move {
            taken_over(&pool, run.task_id()).await;
            let before = everything(&pool).await;
            *seen.lock().unwrap() = Some(before);
            let end = payload["end"].as_str().unwrap();
            if payload["commit"] == true {
                return commit(&run, end).await;
            }
            match end {
                "panic" => panic!("stale"),
                "timeout" => std::future::pending().await,
                "stop" => {
                    run.canceled().cancelled().await;
                    Err(Failure::retry("stale", "told to stop"))
                }
                end => Ok(outcome(end).into()),
            }
        }
    })
}

fn patient(pool: &PgPool, seen: &Seen) -> spool_queue::WorkerBuilder {
    // No heartbeat that would tell the handler: the write itself must notice.
    quick("stale", pool)
        .lease(Duration::from_secs(300))
        .heartbeat(Duration::from_secs(90))
        .handler(Step(stale(pool, seen)))
        .handler(Alone(stale(pool, seen)))
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn whatever_a_stale_run_writes_changes_nothing(pool: PgPool) {
    sqlx::raw_sql("create table mark (n int)").execute(&pool).await.unwrap();
    let seen = Seen::default();
    let worker = Running::start(patient(&pool, &seen)).await;
    let ends = ENDS.iter().map(|end| (*end, false)).chain(COMMITS.iter().map(|end| (*end, true)));
    for (end, commit) in ends {
        for (kind, queue) in [("step", "main"), ("alone", "side")] {
            for with_children in [false, true] {
                let case =
                    format!("{end}, committed by the handler: {commit}, {kind}, children: {with_children}");
                let timeout = Duration::from_secs(if end == "timeout" { 2 } else { 30 });
                let task = NewTask::new(kind, queue, 1, &json!({ "end": end, "commit": commit }));
                let mut batch = Batch::new();
                let slot = batch.add(task.timeout(timeout).group_key("g").unique_key("k"));
                if with_children {
                    for rule in [OnFailure::Cancel, OnFailure::Run, OnFailure::Count] {
                        let child = batch.add(step(json!("child")).delay(Duration::from_secs(3600)));
                        batch.after(child, slot, rule);
                    }
                }
                let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
                let id = made.id(slot);
                made.bell.ring(&pool).await;
                until(&case, || async { outcomes(&pool, id).await.contains(&"refused") }).await;
                let before = seen.lock().unwrap().take().unwrap();
                assert_eq!(everything(&pool).await, before, "{case}");
                assert_eq!(outcomes(&pool, id).await, ["refused", "running"], "{case}");
                sound(&pool).await;
                sqlx::raw_sql("delete from queue.task; delete from queue.edge; delete from queue.run")
                    .execute(&pool)
                    .await
                    .unwrap();
            }
        }
    }
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn what_a_shutdown_hands_back_is_fenced_too(pool: PgPool) {
    sqlx::raw_sql("create table mark (n int)").execute(&pool).await.unwrap();
    let seen = Seen::default();
    let worker = Running::with_grace(patient(&pool, &seen), Duration::ZERO).await;
    let id = enqueue(&pool, step(json!({ "end": "stop" }))).await;
    until("it to be taken over", || async { seen.lock().unwrap().is_some() }).await;
    let name = worker.worker.id();
    worker.stop().await;
    let before = seen.lock().unwrap().take().unwrap();
    // As if the worker had not signed off.
    sqlx::query!("update queue.worker set stopped_at = null, dead_at = null where id = $1", name.0)
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(everything(&pool).await, before);
    assert_eq!(outcomes(&pool, id).await, ["refused", "running"]);
}

/// A task of this worker, as it was long ago; its row is held until the worker waits for it, and is another worker's then.
async fn taken_over_while_waited_for(pool: &PgPool, worker: i64) {
    let id = sqlx::query_scalar!(
        "insert into queue.task (queue, kind, payload, state, lease_token, worker_id, claimed_at, deadline_at, attempt, max_attempts)
         values ('main', 'step', '1', 4, nextval('queue.lease_token'), $1, now() - interval '1 hour', now() + interval '1 hour', 1, 1) returning id",
        worker
    );
    let mut tx = pool.begin().await.unwrap();
    let id = id.fetch_one(pool).await.unwrap();
    sqlx::query!("select id from queue.task where id = $1 for update", id).fetch_one(&mut *tx).await.unwrap();
    until("somebody to wait for the row", || async {
        sqlx::query_scalar!(r#"select count(*) as "n!" from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"#)
            .fetch_one(pool)
            .await
            .unwrap()
            > 0
    })
    .await;
    sqlx::query!(
        "with other as (insert into queue.worker (name, host, pid, slots, lease_until) values ('other', 'h', 1, '{}', now() + interval '1 day') returning id)
         update queue.task set lease_token = nextval('queue.lease_token'), worker_id = other.id, claimed_at = now() from other where task.id = $1",
        id
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let before = everything(pool).await;
    // The worker has gone on when it has done its next round and another task.
    let after = enqueue(pool, step(json!("after"))).await;
    until("the worker to go on", || async { outcomes(pool, after).await == ["done"] }).await;
    sqlx::raw_sql(AssertSqlSafe(format!("delete from queue.task_history where id = {after}")))
        .execute(pool)
        .await
        .unwrap();
    assert_eq!(everything(pool).await, before);
}

fn idle(pool: &PgPool) -> spool_queue::WorkerBuilder {
    quick("w", pool).lease(Duration::from_secs(3)).handler(Step(act(|_, _| async { Ok(Done::nothing()) })))
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn what_never_arrived_is_handed_back_by_its_own_token_only(pool: PgPool) {
    sqlx::raw_sql("create table mark (n int)").execute(&pool).await.unwrap();
    let worker = Running::start(idle(&pool)).await;
    taken_over_while_waited_for(&pool, worker.worker.id().0).await;
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn what_a_dead_worker_ran_is_ended_by_its_own_token_only(pool: PgPool) {
    sqlx::raw_sql("create table mark (n int)").execute(&pool).await.unwrap();
    let dead = sqlx::query_scalar!(
        "insert into queue.worker (name, host, pid, slots, lease_until, dead_at) values ('gone', 'h', 1, '{}', now(), now()) returning id"
    );
    let dead = dead.fetch_one(&pool).await.unwrap();
    let worker = Running::start(idle(&pool)).await;
    taken_over_while_waited_for(&pool, dead).await;
    worker.stop().await;
}

/// A worker that was given up for dead cannot renew, only begin anew.
#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn the_lease_of_a_dead_worker_is_not_renewed(pool: PgPool) {
    let worker = Running::start(idle(&pool)).await;
    let before = worker.worker.id();
    let row = || async {
        let text = format!("select to_jsonb(w)::text from queue.worker w where id = {before}");
        sqlx::raw_sql(AssertSqlSafe(text)).fetch_one(&pool).await.unwrap().get::<String, _>(0)
    };
    sqlx::query!("update queue.worker set dead_at = now() where id = $1", before.0)
        .execute(&pool)
        .await
        .unwrap();
    let dead = row().await;
    until("it to register anew", || async { worker.worker.id() != before }).await;
    assert_eq!(row().await, dead);
    worker.stop().await;
    assert_eq!(row().await, dead);
}
