//! What the hot statements cost in a database with a past of 10,000,000 tasks and a future of 600,000: what they return, not
//! what is there. With plans for the values and with plans for any values.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use spool_queue::{
    Batch, Done, Failure, OnFailure, Outcome, Run, TaskId, control, inspect,
    limits::{self, Limits},
};
use sqlx::PgPool;

use crate::{
    explain::{Plan, Plans, explained},
    harness::{Running, Step, act, quick, step, until},
};

/// Takes a quarter of a minute. The old partition is not logged and its indexes come last, else it would take ten times that.
const FILL: &str = "
    create unlogged table queue.task_history_old (like queue.task_history including defaults including constraints);
    alter table queue.task_history_old add check (finished_at >= '2020-01-01' and finished_at < '2021-01-01');
    insert into queue.task_history_old (id, finished_at, created_at, run_at, started_at, lease_token, worker_id, parks, state, priority,
                                        version, attempt, queue, kind, group_key, payload)
    select n, t, t, t, t, n, 1, 0, case when n % 1000 = 0 then 6 else 5 end, 0, 1, 1, 'main', 'step',
           case when n % 10 = 0 then 'group ' || n / 100 end, '1'
    from generate_series(1, 10000000) n, lateral (select timestamptz '2020-01-01' + n * interval '1 second' as t) x;
    alter table queue.task_history attach partition queue.task_history_old for values from ('2020-01-01') to ('2021-01-01');

    create unlogged table queue.run_old (like queue.run including defaults including constraints);
    insert into queue.run_old (task_id, lease_token, ended_at, attempt, outcome, counted)
    select n, n, timestamptz '2020-01-01' + n * interval '1 second', 1, 2, true from generate_series(1, 500000) n;
    alter table queue.run attach partition queue.run_old for values from ('2020-01-01') to ('2021-01-01');

    insert into queue.task_history (id, finished_at, created_at, run_at, parks, state, priority, version, attempt, queue, kind, payload)
    select n, now() + n * interval '1 millisecond', now(), now(), 0, 5, 0, 1, 1, 'main', 'step', '1' from generate_series(1, 100000) n;
    insert into queue.run (task_id, lease_token, ended_at, attempt, outcome, counted)
    select n, n, now() + n * interval '1 millisecond', 1, 2, true from generate_series(1, 100000) n;

    select setval('queue.task_id', 10000000), setval('queue.lease_token', 10000000);
    insert into queue.task (run_at, state, queue, kind, payload, group_key)
    select now() + interval '1 day' + n * interval '1 second', 1, 'main', 'step', '1', 'later ' || n / 10 from generate_series(1, 500000) n;
    insert into queue.task (state, waits, queue, kind, payload) select 3, 1, 'main', 'step', '1' from generate_series(1, 100000);
    insert into queue.edge (parent, child, run_anyway)
    select later.id, blocked.id, false
    from (select id, row_number() over () as n from queue.task where state = 1) later
    join (select id, row_number() over () as n from queue.task where state = 3) blocked using (n);
    update queue.task set has_children = true where id in (select parent from queue.edge);
    insert into queue.task (state, queue, kind, payload, group_key, share_key)
    select 0, 'main', 'step', '\"done\"', 'ready ' || n / 10, case when n % 2 = 0 then 'share ' || n % 20 end from generate_series(1, 20000) n;
    vacuum analyze";

const BIG: [&str; 3] = ["task", "task_history_old", "run_old"];
/// The look-out makes at most 1,000 tasks ready, a batch has 500, each of them touched a few times.
const MOST_ROWS: f64 = 5000.0;

/// What was sent, and that no part of it read more than it had to.
fn check(mode: &str, what: &str, plans: &Plans, must_use: &[&str]) {
    let plans = plans.take();
    let mut used = BTreeSet::new();
    for plan in &plans {
        let tell = || format!("{mode}, {what}: {}{}", plan.text(), plan.summary());
        let mut touched = 0.0;
        for node in plan.nodes() {
            used.extend(node.index());
            used.extend(node.operation().zip(node.table()).map(|(does, _)| does));
            let Some(table) = node.table() else { continue };
            let is_partition = table.starts_with("task_history") || table.starts_with("run_");
            // Of an empty partition it is all the same.
            let is_read = BIG.contains(&table) || ((is_partition || table == "edge") && node.touched() > 0.0);
            assert!(!(node.kind() == "Seq Scan" && is_read), "reads all of {table}: {}", tell());
            touched += node.touched();
        }
        assert!(touched <= MOST_ROWS, "{touched} rows: {}", tell());
        // What a call looks at is looked at by the statements inside, which are here too.
        let is_call = plan.nodes().into_iter().any(|node| node.kind() == "Function Scan") && touched == 0.0;
        let blocks = plan.blocks();
        assert!(is_call || blocks <= 2000.0 + 60.0 * touched, "{blocks} blocks: {}", tell());
    }
    for name in must_use {
        let texts: Vec<&str> = plans.iter().map(Plan::text).collect();
        assert!(used.contains(name), "{mode}, {what}: {name} is not used, only {used:?} by {texts:#?}");
    }
}

async fn obedient(payload: Value, run: Run) -> Result<Done, Failure> {
    match payload.as_str() {
        Some("output") => Done::output(&payload),
        Some("retry") if run.attempt() == 1 => Err(Failure::retry("told", "told to")),
        Some("fail") => Err(Failure::fail("told", "told to")),
        Some("park") if run.parks() == 0 => Ok(Outcome::park_in(Duration::ZERO, "told to").into()),
        Some("own") => {
            let mut tx = run.pool().begin().await?;
            run.check(&mut tx).await?;
            Ok(run.commit(tx, Outcome::done()).await?)
        }
        _ => Ok(Done::nothing()),
    }
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn no_hot_statement_reads_more_than_it_returns(pool: PgPool) {
    for statement in FILL.split(";\n") {
        sqlx::raw_sql(statement).execute(&pool).await.unwrap();
    }
    let plans = Plans::default();
    let _heard = tracing::subscriber::set_default(plans.clone());
    for mode in ["force_custom_plan", "force_generic_plan"] {
        let explained = explained(&pool, mode);
        let mut conn = explained.acquire().await.unwrap();

        let _ = step(json!("done")).enqueue(&mut conn).await.unwrap();
        let _ = step(json!("done")).unique_key(mode).enqueue(&mut conn).await.unwrap();
        let _ = step(json!("done")).unique_key(mode).enqueue(&mut conn).await.unwrap();
        check(mode, "single insert", &plans, &["Insert", "task_unique"]);

        let mut batch = Batch::new();
        let wait_for = TaskId(10_000_001);
        for n in 0..500 {
            let slot = batch.add(step(json!("done")).unique_key(format!("{mode} {n}")));
            if n == 0 {
                batch.after_existing(slot, wait_for, OnFailure::Cancel);
                batch.after_existing(slot, TaskId(5), OnFailure::Cancel);
            }
        }
        let _ = batch.insert(&mut conn).await.unwrap();
        check(mode, "batch insert", &plans, &["Insert", "task_pkey", "task_history_old_pkey"]);

        control::cancel_group(&mut conn, "later 7", "told to").await.unwrap();
        let group = if mode == "force_custom_plan" { "later 9" } else { "later 11" };
        assert_eq!(control::cancel_group(&mut conn, group, "told to").await.unwrap().ended.len(), 10);
        check(mode, "cancel of a group", &plans, &["task_group", "task_pkey", "edge_pkey", "Delete"]);

        control::wake(&mut conn, wait_for).await.unwrap();
        check(mode, "wake", &plans, &["task_pkey"]);

        assert!(inspect::task(&mut conn, TaskId(9_000_000)).await.unwrap().is_some());
        inspect::task(&mut conn, wait_for).await.unwrap();
        assert_eq!(inspect::runs_of(&mut conn, TaskId(400_000)).await.unwrap().len(), 2);
        assert!(!inspect::tasks_of_group(&mut conn, "group 70000").await.unwrap().is_empty());
        check(mode, "inspect", &plans, &["task_pkey", "task_history_old_pkey"]);

        let dead = if mode == "force_custom_plan" { 3_000_000 } else { 4_000_000 };
        let _ = control::retry(&mut conn, TaskId(dead), control::Reach::Downstream).await.unwrap();
        check(mode, "retry", &plans, &["task_history_old_pkey", "Delete", "Insert"]);

        work(mode, &pool, &explained).await;
        check(mode, "worker", &plans, &["task_order", "task_due", "task_running", "task_pkey", "edge_pkey"]);

        // Claims of a queue with limits go by a function; its two ways to pick are explained with it.
        let full = Limits { max_running: Some(40), ..Limits::default() };
        let fair = Limits { fair: true, max_running_per_share: Some(20), ..full.clone() };
        for (what, limits, must_use) in [
            ("worker with a limit", full, ["task_order", "task_running", "task_pkey"]),
            ("worker with fair shares", fair, ["task_share", "task_running", "task_pkey"]),
        ] {
            limits::set(&mut conn, "main", &limits).await.unwrap();
            plans.take();
            work(mode, &pool, &explained).await;
            check(mode, what, &plans, &must_use);
        }
        limits::set(&mut conn, "main", &Limits::default()).await.unwrap();
        drop(conn);
        explained.close().await;
        plans.take();
    }
}

/// A worker does all that it can, until it has rescued the tasks of a dead one.
async fn work(mode: &str, pool: &PgPool, explained: &PgPool) {
    let mut batch = Batch::new();
    let doings = ["done", "output", "retry", "fail", "park", "own"];
    let slots = doings.map(|doing| batch.add(step(json!(doing)).priority(9)));
    for parent in slots {
        let child = batch.add(step(json!("done")).priority(9));
        batch.after(child, parent, OnFailure::Cancel);
    }
    let _ = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    // The reaper finds the tasks of somebody who is gone, with and without attempts left.
    sqlx::query!(
        "with gone as (insert into queue.worker (name, host, pid, slots, lease_until) values ('gone', 'h', 1, '{}', now() - interval '1 hour') returning id)
         insert into queue.task (queue, kind, payload, state, lease_token, worker_id, claimed_at, deadline_at, attempt, max_attempts)
         select 'main', 'step', '1', 4, nextval('queue.lease_token'), id, now(), now() + interval '1 hour', 1, n from gone, generate_series(1, 2) n"
    )
    .execute(pool)
    .await
    .unwrap();
    let before = ended(pool).await;
    // The history here is of all ages, and stays.
    let worker =
        quick(mode, explained).slots("main", 40).retention(Duration::MAX).handler(Step(act(obedient)));
    let worker = Running::start(worker).await;
    until("the rescue, and some hundred ends", || async {
        let enough = ended(pool).await > before + 300;
        enough && sqlx::query_scalar!(
            r#"select not exists (select from queue.task t join queue.worker w on w.id = t.worker_id where w.name = 'gone') as "so!""#
        )
        .fetch_one(pool)
        .await
        .unwrap()
    })
    .await;
    worker.stop().await;
}

/// Of the tasks that are not a part of the past.
async fn ended(pool: &PgPool) -> i64 {
    sqlx::query_scalar!(r#"select count(*) as "n!" from queue.task_history where id > 10000000"#)
        .fetch_one(pool)
        .await
        .unwrap()
}
