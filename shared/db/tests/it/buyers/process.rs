//! One process of many: buyers that reserve, settle for less, and give back.

use crate::fixture;
use serde::{Deserialize, Serialize};
use serde_json::json;
use spool_db::budgets::{self, Decision, Period, Scope};
use spool_db::predictions::{self, End, Slot};
use spool_job::money::Micros;
use spool_job::prediction::{PredictionState, Purpose};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// [`Orders`] as JSON; without it the process is none of them.
pub(super) const PROCESS: &str = "SPOOL_TEST_BUYERS";
/// Nothing costs more.
pub(super) const DEAREST: i64 = 400_000;

/// What a process does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Orders {
    pub(super) connections: u32,
    /// At the same time.
    pub(super) buyers: usize,
    /// Of each buyer.
    pub(super) purchases: usize,
    /// What each has a job of, one after the other; a campaign of its own each when empty.
    pub(super) campaigns: Vec<Uuid>,
    /// Hard limit of each buyer's job.
    pub(super) of_a_job: Option<i64>,
    /// Buys and does nothing else, for so long, and says how long each purchase took.
    pub(super) seconds: Option<u64>,
}

/// Not a test of its own: what [`super::buyers`] starts many times.
#[tokio::test(flavor = "multi_thread")]
async fn one_process_that_buys() {
    let Ok(orders) = std::env::var(PROCESS) else { return };
    let orders: Orders = serde_json::from_str(&orders).unwrap();
    let pool = PgPoolOptions::new()
        .max_connections(orders.connections)
        .acquire_timeout(Duration::from_secs(120))
        .connect(&std::env::var("DATABASE_URL").unwrap())
        .await
        .unwrap();
    let buyers: Vec<_> =
        (0..orders.buyers).map(|nth| tokio::spawn(buyer(pool.clone(), orders.clone(), nth))).collect();
    let mut took = Vec::new();
    for buyer in buyers {
        took.extend(buyer.await.unwrap());
    }
    println!("\ntook {}", took.iter().map(u64::to_string).collect::<Vec<_>>().join(" "));
}

/// Microseconds that each purchase took.
async fn buyer(pool: PgPool, orders: Orders, nth: usize) -> Vec<u64> {
    let mut conn = pool.acquire().await.unwrap();
    let campaign = match orders.campaigns.get(nth % orders.campaigns.len().max(1)) {
        Some(shared) => *shared,
        None => fixture::campaign(&mut conn).await,
    };
    let job_id = fixture::job(&mut conn, campaign).await;
    if let Some(hard) = orders.of_a_job {
        budgets::set(&mut conn, &super::budget(Scope::Job(job_id), Period::Total, hard)).await.unwrap();
    }
    drop(conn);
    let (begin, most) = (Instant::now(), orders.seconds.map(Duration::from_secs));
    let mut took = Vec::new();
    for ordinal in 0..orders.purchases.min(i32::MAX as usize) as i32 {
        if most.is_some_and(|most| begin.elapsed() >= most) {
            break;
        }
        let price = [100_000, 250_000, DEAREST][ordinal as usize % 3];
        let (before, id, empty) = (Instant::now(), Uuid::now_v7(), json!({}));
        let slot = Slot { job_id, purpose: Purpose::Music, scene: None, ordinal };
        let mut tx = pool.begin().await.unwrap();
        let intent = fixture::intent(id, slot, Micros(price), &empty);
        let decision = predictions::intend(&mut tx, &intent).await.unwrap();
        if decision != Decision::Held {
            tx.rollback().await.unwrap();
            continue;
        }
        tx.commit().await.unwrap();
        took.push(before.elapsed().as_micros() as u64);
        if most.is_none() {
            then(&pool, id, price, id.as_u128() % 4).await;
        }
    }
    took
}

/// What becomes of it, by chance.
async fn then(pool: &PgPool, id: Uuid, price: i64, chance: u128) {
    let mut tx = pool.begin().await.unwrap();
    match chance {
        0 => predictions::refused(&mut tx, id, "x", "x").await.unwrap(),
        1 | 2 => {
            predictions::submitted(&mut tx, id, &id.to_string(), false).await.unwrap();
            let cost = Micros(if chance == 1 { price } else { price / 2 });
            let state = PredictionState::Succeeded;
            let end = End { state, output_url: Some("x"), units: None, cost, failure: None };
            predictions::ended(&mut tx, id, &end).await.unwrap();
        }
        _ => {}
    }
    tx.commit().await.unwrap();
}
