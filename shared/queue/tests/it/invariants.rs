//! What must always hold of the queue, broken one by one and found.

use spool_queue::{
    Batch, OnFailure, TaskId,
    inspect::{self, Partitions},
    invariants::{self, Slice},
};
use sqlx::PgPool;

use crate::harness::{enqueue, task};

async fn run(pool: &PgPool, sql: &'static str) {
    sqlx::raw_sql(sql).execute(pool).await.unwrap();
}

async fn found(pool: &PgPool) -> Vec<(&'static str, i64)> {
    let slice = invariants::slice(&mut pool.acquire().await.unwrap(), None, 1000).await.unwrap();
    assert_eq!(slice.last, None);
    let mut found: Vec<_> = slice.broken.iter().map(|broken| (broken.invariant, broken.task.0)).collect();
    found.sort_unstable();
    found
}

/// A parent, its child, and a task beside them, numbered 1 to 3.
async fn three(pool: &PgPool) {
    let mut batch = Batch::new();
    let parent = batch.add(task("step"));
    let child = batch.add(task("step"));
    batch.after(child, parent, OnFailure::Cancel);
    let _ = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    enqueue(pool, task("step")).await;
    assert_eq!(found(pool).await, []);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn each_kind_of_broken_task_is_found(pool: PgPool) {
    three(&pool).await;
    // The one check that writes cannot get around stands in the way of some of these.
    run(&pool, "alter table queue.task drop constraint task_sound").await;
    for (sql, undo, expected) in [
        ("update queue.task set state = 9 where id = 3", "update queue.task set state = 0 where id = 3", vec![("task_state", 3)]),
        ("update queue.task set wake = true where id = 3", "update queue.task set wake = false where id = 3", vec![("task_lease", 3)]),
        ("update queue.task set attempt = -1 where id = 3", "update queue.task set attempt = 0 where id = 3", vec![("task_counter", 3)]),
        ("update queue.task set spare = -1 where id = 3", "update queue.task set spare = null where id = 3", vec![("task_family", 3)]),
        ("update queue.task set waits = 2 where id = 2", "update queue.task set waits = 1 where id = 2", vec![("task_edges", 2)]),
        (
            "insert into queue.edge (parent, child, run_anyway) values (1, 99, false)",
            "delete from queue.edge where child = 99",
            vec![("edge_child", 99)],
        ),
        (
            "update queue.edge set parent = 98 where child = 2",
            "update queue.edge set parent = 1 where child = 2",
            vec![("edge_parent", 98), ("task_blocked", 2)],
        ),
        (
            "update queue.task set state = 4, worker_id = 77, lease_token = 1, claimed_at = now(), deadline_at = now() where id = 3",
            "update queue.task set state = 0, worker_id = null, claimed_at = null, deadline_at = null where id = 3",
            vec![("task_worker", 3)],
        ),
        (
            "insert into queue.task_history (id, finished_at, created_at, run_at, parks, state, priority, version, attempt, queue, kind, payload)
             values (3, now(), now(), now(), 0, 5, 0, 1, 1, 'main', 'step', '1')",
            "delete from queue.task_history",
            vec![("task_twice", 3)],
        ),
    ] {
        run(&pool, sql).await;
        assert_eq!(found(&pool).await, expected, "{sql}");
        let tasks: Vec<i64> = expected.iter().map(|(_, task)| *task).collect();
        let again = invariants::again(&mut pool.acquire().await.unwrap(), &tasks).await.unwrap();
        assert_eq!(again.len(), expected.len(), "{sql}: {again:?}");
        run(&pool, undo).await;
        assert_eq!(found(&pool).await, [], "{undo}");
        assert_eq!(invariants::again(&mut pool.acquire().await.unwrap(), &tasks).await.unwrap(), []);
    }
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn slices_together_see_all(pool: PgPool) {
    run(&pool, "insert into queue.task (queue, kind, payload, state, spare) select 'main', 'step', '1', 0, -1 from generate_series(1, 25)").await;
    let mut conn = pool.acquire().await.unwrap();
    let (mut after, mut seen, mut slices) = (None, Vec::new(), 0);
    loop {
        let Slice { broken, last } = invariants::slice(&mut conn, after, 10).await.unwrap();
        seen.extend(broken.into_iter().map(|broken| broken.task.0));
        slices += 1;
        after = last;
        if after.is_none() {
            break;
        }
    }
    seen.sort_unstable();
    assert_eq!((seen, slices), ((1..=25).collect(), 3));
    // Behind the last one: edges of tasks that are not there.
    run(&pool, "insert into queue.edge (parent, child, run_anyway) values (1000, 1001, false)").await;
    let rest = invariants::slice(&mut conn, Some(TaskId(25)), 10).await.unwrap();
    assert_eq!(rest.broken.len(), 2, "{rest:?}");
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn leases_that_nobody_rescues_are_found(pool: PgPool) {
    run(
        &pool,
        "insert into queue.worker (name, host, pid, slots, beat_at, lease_until, dead_at) values
             ('alive', 'h', 1, '{}', now(), now() + interval '10 seconds', null),
             ('just dead', 'h', 2, '{}', now() - interval '15 seconds', now() - interval '5 seconds', now()),
             ('long silent', 'h', 3, '{}', now() - interval '310 seconds', now() - interval '300 seconds', null),
             ('long dead', 'h', 4, '{}', now() - interval '310 seconds', now() - interval '300 seconds', now() - interval '300 seconds'),
             ('with a long lease', 'h', 5, '{}', now() - interval '700 seconds', now() - interval '100 seconds', null);
         insert into queue.task (queue, kind, payload, state, lease_token, worker_id, claimed_at, deadline_at)
         select 'main', 'step', '1', 4, id, id, now(), now() + interval '1 hour' from queue.worker order by id;
         insert into queue.task (queue, kind, payload, state, lease_token, worker_id, claimed_at, deadline_at)
         values ('main', 'step', '1', 4, 9, 1, now(), now() - interval '1 second'), ('main', 'step', '1', 4, 9, 1, now(), now() - interval '6 minutes')",
    )
    .await;
    let mut conn = pool.acquire().await.unwrap();
    let found = invariants::orphaned_leases(&mut conn).await.unwrap();
    assert_eq!(found, [TaskId(3), TaskId(4), TaskId(7)]);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn what_is_not_in_the_queue_is_told(pool: PgPool) {
    let id = enqueue(&pool, task("step").group_key("here")).await;
    let mut conn = pool.acquire().await.unwrap();
    let groups = ["here".to_owned(), "gone".to_owned()];
    assert_eq!(invariants::groups_at_rest(&mut conn, &groups).await.unwrap(), ["gone"]);
    assert_eq!(invariants::not_in_queue(&mut conn, &[id.0, 99]).await.unwrap(), [99]);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn kinds_and_partitions_as_they_are(pool: PgPool) {
    enqueue(&pool, task("step")).await;
    enqueue(&pool, task("step")).await;
    run(&pool, "update queue.task set state = 2, why = 'worker w has no handler for step' where id = 2")
        .await;
    let mut conn = pool.acquire().await.unwrap();
    let kinds = inspect::kinds(&mut conn).await.unwrap();
    assert_eq!(kinds.len(), 1, "{kinds:?}");
    assert_eq!((kinds[0].kind.as_str(), kinds[0].tasks, kinds[0].strange), ("step", 2, 1));

    let whole = inspect::partitions(&mut conn).await.unwrap();
    assert_eq!((whole.missing.len(), whole.missing_next.len(), whole.stray), (0, 0, 0), "{whole:?}");
    run(
        &pool,
        "do $$ begin
             execute format('drop table queue.run_%s', to_char(now() at time zone 'UTC', 'YYYY_MM'));
             execute format('drop table queue.task_history_%s', to_char(date_trunc('month', now() at time zone 'UTC') + interval '1 month', 'YYYY_MM'));
         end $$;
         insert into queue.run (task_id, lease_token, attempt, outcome, counted) values (1, 1, 1, 2, true)",
    )
    .await;
    let Partitions { missing, missing_next, stray, days_left } =
        inspect::partitions(&mut conn).await.unwrap();
    assert!(missing.len() == 1 && missing[0].starts_with("run_"), "{missing:?}");
    assert!(missing_next.len() == 1 && missing_next[0].starts_with("task_history_"), "{missing_next:?}");
    assert!(stray == 1 && (0..31).contains(&days_left), "{stray} {days_left}");
}
