//! A gap between starts is kept to the letter, however late a turn is used.

use crate::purchases;
use spool_db::limits::line::{self, Ask};
use spool_db::limits::plan::Moment;
use spool_db::limits::{self, Settings};
use spool_job::money::Micros;
use sqlx::{PgConnection, PgPool};
use std::time::Duration;

const PROVIDER: &str = "replicate";
const GAP_MS: i32 = 300;
const TASKS: i64 = 6;

fn ask(task_id: i64, job_id: i64) -> Ask<'static> {
    Ask { task_id, job_id, provider: PROVIDER, model: "google/veo-3.1-fast", share: None, cost: Micros(1) }
}

/// Starts as a worker does, a little late if it must wait. Returns moments before and after the start.
async fn start(pool: PgPool, task: i64, job: i64) -> (Moment, Moment) {
    loop {
        let mut tx = pool.begin().await.unwrap();
        let before = limits::now(&mut tx).await.unwrap();
        if line::take(&mut tx, &ask(task, job)).await.unwrap().is_some() {
            tx.commit().await.unwrap();
            let mut conn = pool.acquire().await.unwrap();
            return (before, limits::now(&mut conn).await.unwrap());
        }
        tx.rollback().await.unwrap();
        let turn_in = join(&mut pool.acquire().await.unwrap(), task, job).await;
        let late = Duration::from_millis(100 * (task.unsigned_abs() % 3));
        tokio::time::sleep(turn_in.map_or(Duration::from_millis(20), |wait| wait + late)).await;
    }
}

async fn join(conn: &mut PgConnection, task: i64, job: i64) -> Option<Duration> {
    use sqlx::Connection;
    let mut tx = conn.begin().await.unwrap();
    let joined = line::join(&mut tx, &ask(task, job)).await.unwrap();
    tx.commit().await.unwrap();
    joined.turn_in
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn two_starts_are_at_least_the_gap_apart(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let settings =
        Settings { creates_per_minute: 600, others_per_minute: 600, max_in_flight: 100, gap_ms: GAP_MS };
    limits::announce(&mut conn, PROVIDER, settings).await.unwrap();
    let job = purchases::a_job(&mut conn).await;
    drop(conn);
    let running: Vec<_> = (1..=TASKS).map(|task| tokio::spawn(start(pool.clone(), task, job))).collect();
    let mut starts = Vec::new();
    for one in running {
        starts.push(one.await.unwrap());
    }
    starts.sort_unstable();
    for pair in starts.windows(2) {
        let apart = pair[1].1 - pair[0].0;
        assert!(apart.num_milliseconds() >= i64::from(GAP_MS), "{apart} apart: {starts:?}");
    }
}
