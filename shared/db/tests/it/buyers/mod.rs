//! Many processes that buy against one budget: never above the limit at any instant, and how fast that goes.
//!
//! `SPOOL_MEASURE_BUDGET_SECONDS=10 cargo test -p spool-db --test it how_fast -- --nocapture` measures, too: purchases a second
//! and how long one takes, with one process and with eight.

mod process;

use crate::fixture;
use process::{Orders, PROCESS};
use spool_db::budgets::{self, Budget, Period, Scope};
use spool_job::money::Micros;
use sqlx::{ConnectOptions, PgPool};
use std::process::{Output, Stdio};
use tokio::process::Command;

const PROCESSES: usize = 8;
const DOLLAR: i64 = 1_000_000;

async fn limit(pool: &PgPool, hard: i64) {
    let mut conn = pool.acquire().await.unwrap();
    let budget = Budget {
        scope: Scope::All,
        period: Period::Day,
        zone: "UTC".into(),
        soft: None,
        hard: Some(Micros(hard)),
    };
    budgets::set(&mut conn, &budget).await.unwrap();
}

/// This very program as so many buyers; what they said when all have ended.
#[expect(clippy::disallowed_methods, reason = "the test is about real processes")]
async fn buyers(pool: &PgPool, processes: usize, orders: &Orders) -> Vec<String> {
    let start = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "buyers::process::one_process_that_buys", "--nocapture", "--quiet"])
            .env(PROCESS, serde_json::to_string(orders).unwrap())
            .env("DATABASE_URL", pool.connect_options().to_url_lossy().as_str())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    };
    let started: Vec<_> = (0..processes).map(|_| start()).collect();
    let mut said = Vec::new();
    for process in started {
        let Output { status, stdout, .. } = process.wait_with_output().await.unwrap();
        let text = String::from_utf8(stdout).unwrap();
        assert!(status.success(), "a process ended with {status}; what it said is above and {text}");
        said.push(text);
    }
    said
}

async fn number(pool: &PgPool, sql: &'static str) -> i64 {
    use sqlx::Row;
    sqlx::raw_sql(sql).fetch_one(pool).await.unwrap().get(0)
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn eight_processes_never_pass_the_limit_at_any_instant(pool: PgPool) {
    let hard = 20 * DOLLAR;
    limit(&pool, hard).await;
    // Whoever changes the row has it alone: these are all the values it ever had.
    sqlx::raw_sql(
        "CREATE TABLE instant (spent bigint NOT NULL, hard bigint NOT NULL);
         CREATE FUNCTION note_instant() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN INSERT INTO instant VALUES (NEW.reserved_micros + NEW.settled_micros, NEW.hard_micros); RETURN NULL; END $$;
         CREATE TRIGGER note_instant AFTER UPDATE ON budget_periods FOR EACH ROW EXECUTE FUNCTION note_instant();",
    )
    .execute(&pool)
    .await
    .unwrap();
    // 200 at once, who settle for less, give back, and keep what they hold, until there is nothing left for any of them.
    let orders = Orders { connections: 5, buyers: 25, purchases: 8, seconds: None };
    buyers(&pool, PROCESSES, &orders).await;
    assert!(number(&pool, "SELECT count(*) FROM instant").await > 100);
    let highest = number(&pool, "SELECT max(spent) FROM instant").await;
    assert_eq!(
        number(&pool, "SELECT count(*) FROM instant WHERE spent > hard").await,
        0,
        "{highest} of {hard}"
    );
    assert!(hard - highest < process::DEAREST, "{highest} of {hard} were used");
    // The row is what the purchases make it.
    let by_row = "SELECT sum(reserved_micros + settled_micros)::bigint FROM budget_periods";
    let by_purchase = "SELECT sum(CASE WHEN state = 'intent' THEN estimate_micros ELSE coalesce(cost_micros, 0) END)::bigint FROM predictions";
    assert_eq!(number(&pool, by_row).await, number(&pool, by_purchase).await);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn how_fast_a_budget_is(pool: PgPool) {
    let Ok(seconds) = std::env::var("SPOOL_MEASURE_BUDGET_SECONDS") else { return };
    limit(&pool, 1_000_000_000 * DOLLAR).await;
    fixture::campaign(&mut pool.acquire().await.unwrap()).await;
    for processes in [1, PROCESSES] {
        let orders = Orders {
            connections: 4,
            buyers: 4,
            purchases: usize::MAX,
            seconds: Some(seconds.parse().unwrap()),
        };
        let said = buyers(&pool, processes, &orders).await;
        let mut took: Vec<u64> = said
            .iter()
            .flat_map(|text| text.lines())
            .filter_map(|line| line.split_once("took "))
            .flat_map(|(_, numbers)| numbers.split_whitespace())
            .map(|number| number.parse().unwrap())
            .collect();
        took.sort_unstable();
        let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize] as f64 / 1000.0;
        println!(
            "{processes} processes, 4 connections each: {:.0} reservations/s, p50 {:.1} ms, p99 {:.1} ms",
            took.len() as f64 / seconds.parse::<f64>().unwrap(),
            at(0.5),
            at(0.99)
        );
    }
}
