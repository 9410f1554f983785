//! Limits that hold across workers, and whose turn it is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::json;
use spool_queue::{
    Batch, Done,
    limits::{self, Limits, Rate, Share},
};
use sqlx::PgPool;

use crate::harness::{Act, Other, Running, Step, act, quick, step, task, until_ended};

/// How many run at once, of each share and in all; the most that ever did.
#[derive(Default)]
struct Crowd {
    now: HashMap<String, usize>,
    most: HashMap<String, usize>,
}

impl Crowd {
    fn enter(&mut self, key: &str) {
        for key in [key, "all"] {
            let now = self.now.entry(key.to_owned()).or_default();
            *now += 1;
            let most = self.most.entry(key.to_owned()).or_default();
            *most = (*now).max(*most);
        }
    }

    fn leave(&mut self, key: &str) {
        for key in [key, "all"] {
            *self.now.entry(key.to_owned()).or_default() -= 1;
        }
    }
}

/// Stays until others have had time to come too: a few turns of the database.
fn crowded() -> (Arc<Mutex<Crowd>>, Act) {
    let crowd = Arc::new(Mutex::new(Crowd::default()));
    let seen = crowd.clone();
    let act = act(move |_, run| {
        let crowd = seen.clone();
        async move {
            let share = run.share_key().unwrap_or("none").to_owned();
            crowd.lock().unwrap().enter(&share);
            for _ in 0..5 {
                sqlx::query!("select 1 as one").fetch_one(run.pool()).await?;
            }
            crowd.lock().unwrap().leave(&share);
            Ok(Done::nothing())
        }
    });
    (crowd, act)
}

fn done() -> Act {
    act(|_, _| async { Ok(Done::nothing()) })
}

async fn set(pool: &PgPool, limits: Limits) {
    limits::set(&mut pool.acquire().await.unwrap(), "main", &limits).await.unwrap();
}

async fn enqueue(pool: &PgPool, share: &str, tasks: usize) {
    let mut batch = Batch::new();
    for n in 0..tasks {
        batch.add(step(json!(n)).share_key(share));
    }
    batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap().bell.ring(pool).await;
}

/// Shares in the order in which their tasks were claimed.
async fn claimed(pool: &PgPool) -> Vec<String> {
    let shares =
        sqlx::query_scalar!(r#"select share_key as "share!" from queue.task_history order by lease_token"#);
    shares.fetch_all(pool).await.unwrap()
}

fn count(shares: &[String], share: &str) -> usize {
    shares.iter().filter(|claimed| *claimed == share).count()
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn no_more_run_at_once_than_allowed_in_all_workers_together(pool: PgPool) {
    set(&pool, Limits { max_running: Some(5), ..Limits::default() }).await;
    let (crowd, act) = crowded();
    let mut workers = Vec::new();
    for name in ["a", "b", "c"] {
        workers.push(Running::start(quick(name, &pool).handler(Step(act.clone()))).await);
    }
    enqueue(&pool, "x", 60).await;
    until_ended(&pool, 60).await;
    assert_eq!(crowd.lock().unwrap().most["all"], 5);
    for worker in workers {
        worker.stop().await;
    }
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn each_share_has_its_own_limit(pool: PgPool) {
    set(&pool, Limits { max_running: Some(9), max_running_per_share: Some(2), ..Limits::default() }).await;
    let big = Share { max_running: Some(4), ..Share::default() };
    limits::set_share(&mut pool.acquire().await.unwrap(), "main", "big", big).await.unwrap();
    let (crowd, act) = crowded();
    let a = Running::start(quick("a", &pool).handler(Step(act.clone()))).await;
    let b = Running::start(quick("b", &pool).handler(Step(act))).await;
    for share in ["small", "big", "other"] {
        enqueue(&pool, share, 30).await;
    }
    until_ended(&pool, 90).await;
    {
        let most = &crowd.lock().unwrap().most;
        assert_eq!((most["small"], most["big"], most["other"]), (2, 4, 2));
        assert!(most["all"] <= 9);
    }
    a.stop().await;
    b.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_share_that_floods_the_queue_starves_nobody(pool: PgPool) {
    set(&pool, Limits { fair: true, ..Limits::default() }).await;
    let double = Share { weight: 2.0, ..Share::default() };
    limits::set_share(&mut pool.acquire().await.unwrap(), "main", "double", double).await.unwrap();
    enqueue(&pool, "flood", 400).await;
    enqueue(&pool, "small", 20).await;
    enqueue(&pool, "double", 40).await;
    let worker = Running::start(quick("w", &pool).slots("main", 3).handler(Step(done()))).await;
    until_ended(&pool, 460).await;
    let order = claimed(&pool).await;
    // One turn more or less, and the three slots.
    for turns in [5, 10, 15, 20] {
        let first = &order[..4 * turns];
        for (share, part) in [("flood", turns), ("small", turns), ("double", 2 * turns)] {
            let got = count(first, share);
            assert!(got.abs_diff(part) <= 3, "{share} had {got} of the first {}", first.len());
        }
    }
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_share_that_was_idle_gets_no_credit_for_it(pool: PgPool) {
    set(&pool, Limits { fair: true, ..Limits::default() }).await;
    let worker = Running::start(quick("w", &pool).slots("main", 1).handler(Step(done()))).await;
    enqueue(&pool, "idle", 1).await;
    until_ended(&pool, 1).await;
    enqueue(&pool, "busy", 100).await;
    until_ended(&pool, 101).await;
    sqlx::query!("update queue.queue set paused_at = now(), paused_why = 'test'")
        .execute(&pool)
        .await
        .unwrap();
    enqueue(&pool, "busy", 50).await;
    enqueue(&pool, "idle", 50).await;
    sqlx::query!("update queue.queue set paused_at = null, paused_why = null").execute(&pool).await.unwrap();
    until_ended(&pool, 201).await;
    let order = claimed(&pool).await;
    let got = count(&order[101..141], "idle");
    assert!(got.abs_diff(20) <= 2, "the idle share had {got} of 40");
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn starts_keep_to_the_rate_in_all_workers_together(pool: PgPool) {
    const STEP: f64 = 0.04;
    let rate = Rate { tasks: 25, per: Duration::from_secs(1), burst: 4 };
    set(&pool, Limits { rate: Some(rate), ..Limits::default() }).await;
    let a = Running::start(quick("a", &pool).handler(Step(done()))).await;
    let b = Running::start(quick("b", &pool).handler(Step(done()))).await;
    enqueue(&pool, "x", 40).await;
    until_ended(&pool, 40).await;
    let starts = sqlx::query_scalar!(
        r#"select extract(epoch from started_at)::float8 as "at!" from queue.task_history order by started_at"#
    );
    let starts = starts.fetch_all(&pool).await.unwrap();
    for (n, window) in starts.windows(5).enumerate() {
        // A statement is as old as its beginning; it may have waited for the other worker's.
        assert!(window[4] - window[0] > STEP * 0.5, "starts {n} to {}: {window:?}", n + 4);
    }
    let whole = starts[39] - starts[0];
    assert!(whole >= 35.0 * STEP, "40 starts within {whole} s");
    a.stop().await;
    b.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn limits_may_change_while_workers_run(pool: PgPool) {
    let worker = Running::start(quick("w", &pool).handler(Step(done())).handler(Other(done()))).await;
    enqueue(&pool, "x", 2).await;
    until_ended(&pool, 2).await;
    set(&pool, Limits { max_running: Some(0), ..Limits::default() }).await;
    enqueue(&pool, "x", 3).await;
    // Told of both queues, the worker has taken what it may.
    crate::harness::enqueue(&pool, task("other")).await;
    until_ended(&pool, 3).await;
    let left = sqlx::query_scalar!(r#"select count(*) as "n!" from queue.task where state = 0"#);
    assert_eq!(left.fetch_one(&pool).await.unwrap(), 3);
    set(&pool, Limits { max_running: Some(1), ..Limits::default() }).await;
    until_ended(&pool, 6).await;
    set(&pool, Limits::default()).await;
    enqueue(&pool, "x", 3).await;
    until_ended(&pool, 9).await;
    assert_eq!(limits::get(&mut pool.acquire().await.unwrap(), "main").await.unwrap(), Limits::default());
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn limits_are_read_as_they_were_set_and_nonsense_is_refused(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let limits = Limits {
        max_running: Some(7),
        max_running_per_share: Some(2),
        rate: Some(Rate { tasks: 600, per: Duration::from_secs(60), burst: 10 }),
        fair: true,
    };
    limits::set(&mut conn, "main", &limits).await.unwrap();
    assert_eq!(limits::get(&mut conn, "main").await.unwrap(), limits);
    let none = Rate { tasks: 0, per: Duration::from_secs(1), burst: 1 };
    let refused = limits::set(&mut conn, "main", &Limits { rate: Some(none), ..Limits::default() }).await;
    assert!(refused.unwrap_err().to_string().contains("rate"));
    let weightless = Share { weight: 0.0, max_running: None };
    assert!(
        limits::set_share(&mut conn, "main", "x", weightless)
            .await
            .unwrap_err()
            .to_string()
            .contains("weight")
    );
}
