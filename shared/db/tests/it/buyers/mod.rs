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
use uuid::Uuid;

const PROCESSES: usize = 8;
const DOLLAR: i64 = 1_000_000;

/// A limit of so many micro-dollars.
fn budget(scope: Scope, period: Period, hard: i64) -> Budget {
    Budget { scope, period, zone: "UTC".into(), soft: None, hard: Some(Micros(hard)) }
}

async fn limit(pool: &PgPool, scope: Scope, period: Period, hard: i64) {
    let mut conn = pool.acquire().await.unwrap();
    budgets::set(&mut conn, &budget(scope, period, hard)).await.unwrap();
}

/// From now on every value that a budget ever has is kept. Whoever changes a row has it alone, so none is missed.
async fn note_every_instant(pool: &PgPool) {
    sqlx::raw_sql(
        "CREATE TABLE instant (budget_id bigint NOT NULL, spent bigint NOT NULL, hard bigint);
         CREATE FUNCTION note_instant() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN INSERT INTO instant VALUES (NEW.budget_id, NEW.reserved_micros + NEW.settled_micros, NEW.hard_micros); RETURN NULL; END $$;
         CREATE TRIGGER note_instant AFTER UPDATE ON budget_periods FOR EACH ROW EXECUTE FUNCTION note_instant();",
    )
    .execute(pool)
    .await
    .unwrap();
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
    limit(&pool, Scope::All, Period::Day, hard).await;
    note_every_instant(&pool).await;
    // 200 at once, who settle for less, give back, and keep what they hold, until there is nothing left for any of them.
    let orders = Orders {
        connections: 5,
        buyers: 25,
        purchases: 8,
        campaigns: Vec::new(),
        of_a_job: None,
        seconds: None,
    };
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
    assert_eq!(number(&pool, by_row).await, number(&pool, BY_PURCHASE).await);
}

/// What is held or spent by all purchases.
const BY_PURCHASE: &str = "SELECT sum(CASE WHEN state = 'intent' THEN estimate_micros ELSE coalesce(cost_micros, 0) END)::bigint FROM predictions";

/// Gives a campaign to the client of another.
#[expect(clippy::disallowed_methods, reason = "fixtures write rows by hand")]
async fn same_client(pool: &PgPool, first: Uuid, second: Uuid) -> Uuid {
    sqlx::query_scalar("UPDATE campaigns SET client_id = (SELECT client_id FROM campaigns WHERE id = $1) WHERE id = $2 RETURNING client_id")
        .bind(first)
        .bind(second)
        .fetch_one(pool)
        .await
        .unwrap()
}

/// The most that a budget's periods ever held.
#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
async fn highest(pool: &PgPool, scope: &Scope, period: Period) -> i64 {
    sqlx::query_scalar(
        "SELECT max(i.spent) FROM instant i JOIN budgets b ON b.id = i.budget_id
         WHERE b.scope = $1 AND b.scope_key = $2 AND b.period = $3",
    )
    .bind(scope.word())
    .bind(scope.key())
    .bind(period.as_str())
    .fetch_one(pool)
    .await
    .unwrap()
}

/// What the rows of all budgets of a scope and a period say is held or spent.
#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
async fn sum(pool: &PgPool, scope: &str, period: &str) -> i64 {
    sqlx::query_scalar(
        "SELECT sum(p.reserved_micros + p.settled_micros)::bigint FROM budget_periods p JOIN budgets b ON b.id = p.budget_id
         WHERE b.scope = $1 AND b.period = $2",
    )
    .bind(scope)
    .bind(period)
    .fetch_one(pool)
    .await
    .unwrap()
}

/// The budget of the day and the month, of two clients, of two of their four campaigns, and of each of 200 jobs: each purchase takes
/// from three to five of them at once, and every level is the one that binds somewhere.
#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn budgets_that_overlap_all_hold_at_any_instant(pool: PgPool) {
    use Period::{Day, Month, Total};
    let mut conn = pool.acquire().await.unwrap();
    let mut campaigns = Vec::new();
    for _ in 0..4 {
        campaigns.push(fixture::campaign(&mut conn).await);
    }
    // Two clients with two campaigns each.
    let (one, other) = (
        same_client(&pool, campaigns[0], campaigns[1]).await,
        same_client(&pool, campaigns[2], campaigns[3]).await,
    );
    let binding = [
        (Scope::All, Month, 20),
        (Scope::Client(one), Day, 8),
        (Scope::Campaign(campaigns[0]), Total, 3),
        (Scope::Campaign(campaigns[2]), Total, 4),
    ];
    for (scope, period, dollars) in &binding {
        limit(&pool, scope.clone(), *period, dollars * DOLLAR).await;
    }
    limit(&pool, Scope::All, Day, 21 * DOLLAR).await;
    limit(&pool, Scope::Client(other), Month, 30 * DOLLAR).await;
    note_every_instant(&pool).await;
    let orders = Orders {
        connections: 5,
        buyers: 25,
        purchases: 8,
        campaigns,
        of_a_job: Some(DOLLAR / 2),
        seconds: None,
    };
    buyers(&pool, PROCESSES, &orders).await;
    assert_eq!(number(&pool, "SELECT count(*) FROM instant WHERE spent > hard").await, 0);
    for (scope, period, dollars) in binding {
        let highest = highest(&pool, &scope, period).await;
        let left = dollars * DOLLAR - highest;
        assert!((0..process::DEAREST).contains(&left), "{left} left of {dollars} dollars of {scope:?}");
    }
    let jobs = "SELECT count(*) FROM (SELECT max(spent) AS most, max(hard) AS hard FROM instant i JOIN budgets b ON b.id = i.budget_id
                WHERE b.scope = 'job' GROUP BY b.id) AS each WHERE hard - most < 400000";
    assert!(number(&pool, jobs).await > 10, "of some jobs it was their own limit that bound");
    // Every level adds up to the purchases.
    for (scope, period) in [("all", "day"), ("all", "month"), ("job", "total")] {
        assert_eq!(sum(&pool, scope, period).await, number(&pool, BY_PURCHASE).await, "{scope} {period}");
    }
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn how_fast_a_budget_is(pool: PgPool) {
    let Ok(seconds) = std::env::var("SPOOL_MEASURE_BUDGET_SECONDS") else { return };
    limit(&pool, Scope::All, Period::Day, 1_000_000_000 * DOLLAR).await;
    fixture::campaign(&mut pool.acquire().await.unwrap()).await;
    for processes in [1, PROCESSES] {
        let orders = Orders {
            connections: 4,
            buyers: 4,
            purchases: usize::MAX,
            campaigns: Vec::new(),
            of_a_job: None,
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
