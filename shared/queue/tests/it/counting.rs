//! Enqueues, claims, ends of runs and commands are counted once, whatever breaks meanwhile. Not counted, so not claimed here: tasks that are
//! canceled because of a parent (class `parent`), and tasks that become ready because their last parent ended.

use std::time::Duration;

use serde_json::{Value, json};
use spool_queue::{
    Batch, Conflict, Done, Failure, OnFailure, Outcome, Run, TaskState, Unique, control, control::Reach,
};
use sqlx::PgPool;

use crate::{
    counts::Counts,
    harness::{
        Running, Step, act, break_all, enqueue, outcomes, quick, step, task, until, until_ended, until_final,
        view,
    },
    line::Line,
};

async fn obedient(payload: Value, run: Run) -> Result<Done, Failure> {
    match payload["do"].as_str() {
        Some("output") => Done::output(&payload),
        Some("retry") if run.attempt() == 1 => Err(Failure::retry("told", "told to")),
        Some("fail") => Err(Failure::fail("told", "told to")),
        Some("park") if run.parks() == 0 => Ok(Outcome::park_in(Duration::ZERO, "told to").into()),
        Some("long park") if run.parks() == 0 => {
            Ok(Outcome::park_in(Duration::from_secs(3600), "told to").into())
        }
        Some("own") => {
            let tx = run.pool().begin().await?;
            Ok(run.commit(tx, Outcome::done()).await?)
        }
        _ => Ok(Done::nothing()),
    }
}

/// What stands in the database: tasks by how they ended, but for those that ended with a parent; runs that ended otherwise, those that
/// parked included; tasks that came back. The row of a cancel that was taken back goes: tests retry what has run.
async fn recorded(pool: &PgPool) -> Vec<(String, i64)> {
    let rows = sqlx::query!(
        r#"select word as "word!", sum(n)::bigint as "n!" from (
               select case when state = 5 then 'succeeded' when state = 7 then 'canceled' when worker_id is null then 'expired' else 'failed' end as word,
                      count(*) as n
               from queue.task_history where error_class is distinct from 'parent' group by 1
               union all
               select case outcome when 2 then 'retry' when 3 then 'failed' when 4 then 'canceled' when 10 then 'retried' when 5 then 'handed_back' when 6 then 'lease_expired' when 7 then 'deadline_passed'
                                   when 8 then 'refused' else 'broken' end, count(*) from queue.run group by 1
               union all
               select 'parked', sum(parks) from queue.task_history having sum(parks) > 0) words
           group by word order by word"#
    )
    .fetch_all(pool)
    .await
    .unwrap();
    rows.into_iter().map(|row| (row.word, row.n)).collect()
}

/// The same by the counters.
fn counted(counts: &Counts) -> Vec<(String, i64)> {
    let words = [
        "broken",
        "canceled",
        "deadline_passed",
        "expired",
        "failed",
        "handed_back",
        "lease_expired",
        "parked",
        "refused",
        "retried",
        "retry",
        "succeeded",
    ];
    let ended = |word| counts.with("spool_queue_runs_total", "outcome", word);
    let rescued = |word| counts.with("spool_queue_rescued_total", "reason", word);
    let commanded = |command| counts.with("spool_queue_commands_total", "command", command);
    let others = |word| match word {
        "refused" => counts.all("spool_queue_refused_total"),
        "expired" => counts.all("spool_queue_expired_total"),
        "canceled" => commanded("cancel"),
        "retried" => commanded("retry"),
        _ => 0,
    };
    let all = words.map(|word| (word.to_owned(), ended(word) + rescued(word) + others(word)));
    all.into_iter().filter(|(_, n)| *n > 0).collect()
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn counters_agree_with_the_rows_though_connections_break_all_the_time(pool: PgPool) {
    let counts = Counts::default();
    let _heard = metrics::set_default_local_recorder(&counts);
    let worker = Running::start(
        quick("w", &pool).lease(Duration::from_secs(3)).slots("main", 6).handler(Step(act(obedient))),
    )
    .await;
    let doings = ["done", "output", "retry", "fail", "park", "own"];
    let mut batch = Batch::new();
    for n in 0..360 {
        let slot = batch.add(step(json!({ "do": doings[n % doings.len()], "n": n })));
        if n % 9 == 8 {
            // Those are written alone.
            let child = batch.add(step(json!({})));
            batch.after(child, slot, OnFailure::Run);
        }
    }
    let all = batch.len() as i64;
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    made.bell.ring(&pool).await;
    for round in 1..=10 {
        break_all(&pool).await;
        until_ended(&pool, all * round / 11).await;
    }
    until_ended(&pool, all).await;
    worker.stop().await;
    assert_eq!(counted(&counts), recorded(&pool).await);
    assert_eq!(counts.all("spool_queue_enqueued_total"), all);
    // Each claim whose answer came has its time from ready to started.
    assert_eq!(counts.all("spool_queue_pickup_seconds"), counts.all("spool_queue_claimed_total"));
    assert!(counts.all("spool_queue_claim_seconds") > 0 && counts.all("spool_queue_flush_seconds") > 0);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn commands_count_what_they_changed_and_only_once_it_is_committed(pool: PgPool) {
    let counts = Counts::default();
    let _heard = metrics::set_default_local_recorder(&counts);
    let counted_as = |command| counts.with("spool_queue_commands_total", "command", command);
    let hour = Duration::from_secs(3600);
    let later = || step(json!({ "do": "fail" })).delay(hour);
    let mut batch = Batch::new();
    let parent = batch.add(later().group_key("g"));
    let child = batch.add(later());
    batch.after(child, parent, OnFailure::Cancel);
    batch.add(later().group_key("g"));
    let fails = batch.add(later());
    let put_off = batch.add(later());
    let passed = batch.add(later().deadline(chrono::DateTime::from_timestamp(1_000_000_000, 0).unwrap()));
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    let [fails, put_off, passed] = [fails, put_off, passed].map(|slot| made.id(slot));
    let far_off = chrono::DateTime::from_timestamp(4_000_000_000, 0).unwrap();
    made.bell.ring(&pool).await;

    let mut tx = pool.begin().await.unwrap();
    drop(control::cancel_group(&mut tx, "g", "told to").await.unwrap());
    tx.rollback().await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    let mut bell = control::cancel_group(&mut tx, "g", "told to").await.unwrap().bell;
    // They have ended already.
    bell.merge(control::cancel_group(&mut tx, "g", "told to").await.unwrap().bell);
    bell.merge(control::snooze(&mut tx, put_off, far_off).await.unwrap().bell);
    bell.merge(control::run_now(&mut tx, fails).await.unwrap().bell);
    tx.commit().await.unwrap();
    assert_eq!(counts.all("spool_queue_commands_total"), 0);
    bell.ring(&pool).await;
    assert_eq!((counted_as("cancel"), counted_as("snooze"), counted_as("run_now")), (2, 1, 1));

    let parks = enqueue(&pool, step(json!({ "do": "long park" }))).await;
    let worker = Running::start(quick("w", &pool).handler(Step(act(obedient)))).await;
    until_final(&pool, fails).await;
    until_final(&pool, passed).await;
    until("the park", || async { view(&pool, parks).await.state == TaskState::Parked }).await;
    for _ in 0..2 {
        // The second finds it ready, running or ended.
        control::wake(&mut pool.acquire().await.unwrap(), parks).await.unwrap().bell.ring(&pool).await;
    }
    until_final(&pool, parks).await;
    let retried = control::retry(&mut pool.acquire().await.unwrap(), fails, Reach::Alone).await.unwrap();
    retried.bell.ring(&pool).await;
    until_final(&pool, fails).await;
    worker.stop().await;

    for _ in 0..2 {
        let unique = Unique::by_key("page").while_waiting().on_conflict(Conflict::Replace);
        let _ = enqueue(&pool, later().unique(unique)).await;
    }
    assert_eq!((counted_as("wake"), counted_as("retry"), counted_as("replace")), (1, 1, 1));
    assert_eq!(counted(&counts), recorded(&pool).await);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn what_was_rolled_back_was_never_enqueued(pool: PgPool) {
    let counts = Counts::default();
    let _heard = metrics::set_default_local_recorder(&counts);
    let enqueued = |kind| counts.with("spool_queue_enqueued_total", "kind", kind);
    let batch = || {
        let mut batch = Batch::new();
        for n in 0..3 {
            batch.add(step(json!(n)).delay(Duration::from_secs(3600)));
        }
        batch.add(task("other").unique_key("k"));
        batch
    };
    let mut tx = pool.begin().await.unwrap();
    let made = batch().insert(&mut tx).await.unwrap();
    let alone = task("hasty").enqueue(&mut tx).await.unwrap();
    drop((made, alone));
    tx.rollback().await.unwrap();
    assert_eq!(counts.all("spool_queue_enqueued_total"), 0);

    let mut tx = pool.begin().await.unwrap();
    let mut bell = batch().insert(&mut tx).await.unwrap().bell;
    // The one with the key is there already.
    bell.merge(batch().insert(&mut tx).await.unwrap().bell);
    let hasty = task("hasty").delay(Duration::from_secs(3600)).enqueue(&mut tx).await.unwrap().bell;
    tx.commit().await.unwrap();
    assert_eq!(counts.all("spool_queue_enqueued_total"), 0);
    bell.ring(&pool).await;
    // There is nobody to tell, but it counts.
    assert!(hasty.is_silent());
    hasty.ring_now(&pool).await.unwrap();
    assert_eq!((enqueued("step"), enqueued("other"), enqueued("hasty")), (6, 1, 1));
}

/// The end of a run takes effect, but the connection breaks before the answer comes.
async fn an_answer_is_lost(pool: &PgPool, doing: &str, with_child: bool) {
    let counts = Counts::default();
    let _heard = metrics::set_default_local_recorder(&counts);
    // A commit that deletes a task waits until this connection lets it.
    sqlx::raw_sql(
        "create function wait() returns trigger language plpgsql as $$
             begin perform pg_advisory_xact_lock_shared(1); return null; end $$;
         create constraint trigger wait after delete on queue.task deferrable initially deferred for each row execute function wait()",
    )
    .execute(pool)
    .await
    .unwrap();
    let line = Line::to(pool).await;
    let builder =
        quick("w", &line.pool(pool)).lease(Duration::from_secs(30)).heartbeat(Duration::from_secs(10));
    let worker = Running::start(builder.handler(Step(act(obedient)))).await;
    let mut gate = pool.begin().await.unwrap();
    sqlx::query!("select pg_advisory_xact_lock(1)").fetch_one(&mut *gate).await.unwrap();
    let mut batch = Batch::new();
    let slot = batch.add(step(json!({ "do": doing })));
    if with_child {
        let child = batch.add(step(json!({})).delay(Duration::from_secs(3600)));
        batch.after(child, slot, OnFailure::Run);
    }
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    let id = made.id(slot);
    made.bell.ring(pool).await;
    until("the commit to wait", || async {
        sqlx::query_scalar!(r#"select count(*) as "n!" from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())"#)
            .fetch_one(pool)
            .await
            .unwrap()
            == 1
    })
    .await;
    line.hold_answers();
    drop(gate);
    until_final(pool, id).await;
    line.cut();
    until("the end to be counted", || async { counts.all("spool_queue_runs_total") > 0 }).await;
    worker.stop().await;
    assert_eq!(outcomes(pool, id).await, ["done"]);
    assert_eq!(counted(&counts), [("succeeded".to_owned(), 1)]);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn an_end_whose_answer_was_lost_is_counted_once(pool: PgPool) {
    an_answer_is_lost(&pool, "output", false).await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn an_end_that_others_wait_for_whose_answer_was_lost_is_counted_once(pool: PgPool) {
    an_answer_is_lost(&pool, "done", true).await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn the_handlers_own_commit_whose_answer_was_lost_is_counted_once(pool: PgPool) {
    an_answer_is_lost(&pool, "own", false).await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_rescue_is_counted_when_it_moves_the_task(pool: PgPool) {
    let counts = Counts::default();
    let _heard = metrics::set_default_local_recorder(&counts);
    let id = enqueue(&pool, step(json!({}))).await;
    sqlx::query!(
        "with gone as (insert into queue.worker (name, host, pid, slots, lease_until, dead_at) values ('gone', 'h', 1, '{}', now(), now()) returning id)
         update queue.task set state = 4, lease_token = nextval('queue.lease_token'), worker_id = gone.id, claimed_at = now(),
                               deadline_at = now() + interval '1 hour', attempt = 1 from gone where task.id = $1",
        id.0
    )
    .execute(&pool)
    .await
    .unwrap();
    // A transaction that has checked the lease keeps rescuers out, round after round.
    let mut held = pool.begin().await.unwrap();
    sqlx::query!("select id from queue.task where id = $1 for no key update", id.0)
        .fetch_one(&mut *held)
        .await
        .unwrap();
    let worker = Running::start(quick("w", &pool).handler(Step(act(obedient)))).await;
    let rounds = || async {
        sqlx::query_scalar!(r#"select done_at > w.started_at + interval '1500 milliseconds' as "so!" from queue.duty d, queue.worker w where d.name = 'reap' and w.name = 'w'"#)
            .fetch_one(&pool)
            .await
            .unwrap()
    };
    until("some rounds of the reaper", rounds).await;
    drop(held);
    assert_eq!(until_final(&pool, id).await.state, TaskState::Succeeded);
    worker.stop().await;
    assert_eq!(counts.with("spool_queue_rescued_total", "reason", "lease_expired"), 1);
    assert_eq!(counted(&counts), recorded(&pool).await);
}
