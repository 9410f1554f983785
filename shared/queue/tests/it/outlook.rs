//! What keeps a group from going on: places that come true, limits, workers, and how long things take.

use std::time::Duration;

use serde_json::json;
use spool_queue::{
    Batch, Done, OnFailure, TaskState, control,
    inspect::{self, Outlook},
    limits::{self, Limits, Rate, Share},
};
use sqlx::PgPool;

use crate::harness::{Running, Step, act, enqueue, plan_with_indexes, quick, step, until, until_ended, view};

async fn outlook(pool: &PgPool, group: &str) -> Outlook {
    inspect::outlook(&mut pool.acquire().await.unwrap(), group).await.unwrap()
}

/// Claims one after the other; the numbers of the tasks in the order in which they were.
async fn claimed(pool: &PgPool, tasks: i64) -> Vec<i64> {
    let done = act(|_, _| async { Ok(Done::nothing()) });
    let worker = Running::start(quick("w", pool).slots("main", 1).handler(Step(done))).await;
    until_ended(pool, tasks).await;
    worker.stop().await;
    let order = sqlx::query_scalar!("select id from queue.task_history order by lease_token");
    order.fetch_all(pool).await.unwrap()
}

/// The place that was told of each task of the group is the one that it has.
async fn places_come_true(pool: &PgPool, tasks: i64) {
    let told = outlook(pool, "g").await;
    let order = claimed(pool, tasks).await;
    assert!(!told.tasks.is_empty());
    for task in told.tasks {
        let place = order.iter().position(|id| *id == task.view.id.0).unwrap() as u64;
        assert_eq!(task.ahead, Some(place), "task {}", task.view.id);
    }
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn the_place_in_line_is_the_order_of_claims(pool: PgPool) {
    for n in 0..40_i16 {
        let mut task = step(json!(n)).share_key(format!("share {}", n % 3)).priority((n * 7) % 5);
        if n % 4 == 0 {
            task = task.group_key("g");
        }
        enqueue(&pool, task).await;
    }
    places_come_true(&pool, 40).await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn in_a_fair_queue_too(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    limits::set(&mut conn, "main", &Limits { fair: true, ..Limits::default() }).await.unwrap();
    limits::set_share(&mut conn, "main", "share 1", Share { weight: 3.0, ..Share::default() }).await.unwrap();
    for n in 0..40 {
        let share = if n < 25 { 0 } else { n % 3 };
        let mut task = step(json!(n)).share_key(format!("share {share}"));
        if n % 4 == 0 {
            task = task.group_key("g");
        }
        enqueue(&pool, task).await;
    }
    places_come_true(&pool, 40).await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn queues_tell_what_they_let_pass(pool: PgPool) {
    let mut batch = Batch::new();
    let first = batch.add(step(json!(1)).group_key("g").share_key("s"));
    let second = batch.add(step(json!(2)).group_key("g").share_key("s"));
    batch.after(second, first, OnFailure::Cancel);
    let _ = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    let told = outlook(&pool, "g").await;
    let main = &told.queues[0];
    assert_eq!((told.queues.len(), main.queue.as_str(), main.workers, main.slots), (1, "main", 0, 0));
    assert_eq!((main.ready, main.running, main.max_running, main.fair), (1, 0, None, false));
    assert_eq!((&told.tasks[0].ahead, &told.tasks[1].ahead), (&Some(0), &None), "the second is in no line");
    assert_eq!(told.tasks[1].view.waits_for, [told.tasks[0].view.id]);

    let mut conn = pool.acquire().await.unwrap();
    let rate = Rate { tasks: 10, per: Duration::from_secs(60), burst: 1 };
    let all = Limits { max_running: Some(7), max_running_per_share: Some(3), rate: Some(rate), fair: true };
    limits::set(&mut conn, "main", &all).await.unwrap();
    control::pause(&mut conn, "main", "a look").await.unwrap();
    let told = outlook(&pool, "g").await;
    let main = &told.queues[0];
    assert_eq!(main.paused.as_ref().map(|(_, why)| why.as_str()), Some("a look"));
    assert_eq!(
        (main.max_running, main.rate, main.rate_opens_at, main.fair),
        (Some(7), Some(rate), None, true)
    );
    assert_eq!((told.tasks[0].share_limit, told.tasks[0].share_running), (Some(3), 0));
    let _ = control::resume(&mut conn, "main").await.unwrap();

    let busy = act(|_, run| async move {
        run.canceled().cancelled().await;
        Ok(Done::nothing())
    });
    let worker = Running::start(quick("w", &pool).slots("main", 5).handler(Step(busy))).await;
    let id = told.tasks[0].view.id;
    until("the first to run", || async { view(&pool, id).await.state == TaskState::Running }).await;
    let told = outlook(&pool, "g").await;
    let main = &told.queues[0];
    assert_eq!((main.workers, main.slots, main.running, main.ready), (1, 5, 1, 0));
    assert!(main.rate_opens_at > Some(told.at), "one start used up the burst");
    assert_eq!((told.tasks[0].cancel_why.as_deref(), told.tasks[0].lease_is_over), (None, false));
    let stop = control::cancel_task(&mut conn, id, "enough").await.unwrap();
    assert_eq!(outlook(&pool, "g").await.tasks[0].cancel_why.as_deref(), Some("enough"));
    stop.bell.ring(&pool).await;
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn typical_times_are_those_of_runs_that_ended_well(pool: PgPool) {
    assert_eq!(outlook(&pool, "nobody").await.typical, []);
    sqlx::raw_sql(
        "insert into queue.task_history (id, finished_at, created_at, run_at, started_at, parks, state, priority, version, attempt, queue, kind, payload)
         select n, now(), now(), now(), now() - n * interval '1 second', 0, case when n > 21 then 6 else 5 end, 0, 1, 1, 'main', 'step', '1'
         from generate_series(1, 30) n",
    )
    .execute(&pool)
    .await
    .unwrap();
    let typical = inspect::typical(&mut pool.acquire().await.unwrap()).await.unwrap();
    assert_eq!((typical.len(), typical[0].kind.as_str(), typical[0].runs), (1, "step", 21));
    assert_eq!((typical[0].median, typical[0].p95), (Duration::from_secs(11), Duration::from_secs(20)));
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_long_past_costs_nothing(pool: PgPool) {
    let last = "select kind from queue.task_history h order by h.id desc limit 2000";
    let plan = plan_with_indexes(&pool, last).await;
    assert!(plan.contains("Merge Append") && plan.contains("Index Scan Backward"), "{plan}");
}
