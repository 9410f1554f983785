//! Many jobs, four workers, one of them killed every few seconds, a provider that throttles, fails after creating and loses
//! webhooks: everything completes, nothing is bought twice, and no hard limit is passed at any moment.

use reqwest::Method;
use serde_json::json;
use std::time::{Duration, Instant};
use system_tests::books::number;
use system_tests::system::{Options, System};
use system_tests::wait;

/// A job of one clip: 4 s of veo-3.1-fast at $0.10.
const PRICE: i64 = 400_000;
const WORKERS: u32 = 4;
/// Shortest and longest time between two kills, in milliseconds.
const KILLS_MS: (u64, u64) = (1_500, 4_500);
/// Longest time for one job of many.
const BOUND_PER_JOB: Duration = Duration::from_secs(15);
const BOUND: Duration = Duration::from_secs(180);

/// How many jobs; the whole trial is `SPOOL_TEST_CHAOS_JOBS=200`.
fn how_many() -> usize {
    given("SPOOL_TEST_CHAOS_JOBS").unwrap_or(12)
}

fn given<T: std::str::FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

/// Numbers that look drawn, the same for the same seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// What goes wrong at the provider all the time.
async fn troubles(system: &System) {
    for (probability, route, fault) in [
        (0.05, "create", json!({"kind": "throttle", "retry_after": 1})),
        (0.02, "create", json!({"kind": "http_error", "status": 502, "when": "after"})),
        (0.05, "webhook", json!({"kind": "webhook_lost"})),
    ] {
        system.fault(json!({"match": {"route": route, "probability": probability}, "fault": fault})).await;
    }
}

struct Counts {
    completed: i64,
    over: i64,
    most: i64,
}

/// One look at the database: how many jobs are completed, and what stands in the budget.
async fn look(pool: &sqlx::PgPool, hard: i64) -> Counts {
    let in_budget = "SELECT max(reserved_micros + settled_micros) FROM budget_periods bp JOIN budgets b ON b.id = bp.budget_id
                     WHERE b.scope = 'all' AND b.period = 'day'";
    let most = number(pool, in_budget).await;
    Counts {
        completed: number(pool, "SELECT count(*) FROM jobs WHERE state = 'completed'").await,
        over: i64::from(most > hard),
        most,
    }
}

/// Why jobs failed.
#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
async fn failures(pool: &sqlx::PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT concat_ws(' ', 'job', id, error_code, error) FROM jobs WHERE state IN ('failed', 'canceled')",
    )
    .fetch_all(pool)
    .await
    .expect("the failures")
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_everything_completes_once_and_within_the_limit() {
    let seed = given("SPOOL_TEST_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("SPOOL_TEST_SEED={seed} makes the same choices again");
    let mut chance = Chance(seed);
    let env = vec![("SPOOL_LEASE_SECONDS", "2".into()), ("SPOOL_SUBMIT_SETTLE_SECONDS", "4".into())];
    let system = System::start(&Options { workers: WORKERS, speed: 30.0, cheap_media: true, env }).await;
    system.workers_are(WORKERS as usize).await;
    let campaign = system.campaign().await;
    troubles(&system).await;
    let jobs = how_many();
    // Exactly what all of them cost: one clip bought twice would leave another without money.
    let hard = jobs as i64 * PRICE;
    let body = json!({"scope": "all", "period": "day", "hard_limit_micros": hard});
    let answer = system.request(Method::PUT, "/api/v3/admin/budgets", Some(body)).await;
    assert!(answer.status().is_success(), "{:?}", answer.text().await);
    let pool = system.database().await;
    let (begin, mut kills, mut over, mut most) = (Instant::now(), 0, 0, 0);
    let mut next_kill = Instant::now() + Duration::from_millis(KILLS_MS.1);
    let mut ids = Vec::new();
    while ids.len() < jobs {
        ids.push(system.small_job(&campaign, json!({})).await);
    }
    let bound = BOUND + BOUND_PER_JOB * u32::try_from(jobs).expect("few jobs");
    loop {
        let now = look(&pool, hard).await;
        (over, most) = (over + now.over, most.max(now.most));
        if now.completed == jobs as i64 {
            break;
        }
        let over_for_good =
            number(&pool, "SELECT count(*) FROM jobs WHERE state IN ('failed', 'canceled')").await;
        assert_eq!(over_for_good, 0, "jobs that did not complete: {:?}", failures(&pool).await);
        assert!(begin.elapsed() < bound, "{} of {jobs} jobs after {bound:?}", now.completed);
        if Instant::now() >= next_kill {
            let pids = system.worker_pids().await;
            if !pids.is_empty() && system.kill_worker(pids[chance.below(pids.len() as u64) as usize]) {
                kills += 1;
            }
            next_kill =
                Instant::now() + Duration::from_millis(KILLS_MS.0 + chance.below(KILLS_MS.1 - KILLS_MS.0));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let took = begin.elapsed();
    // What was refused as stale, or rescued, may be written after the last job.
    wait::until("all workers", async || (system.workers().await.len() >= WORKERS as usize).then_some(()))
        .await;
    let spent = system.books_balance().await;
    let (useful, in_vain) = system.purchases().await;
    eprintln!(
        "{jobs} jobs in {:.0} s, {kills} workers killed; {useful} clips bought, {in_vain} paid for in vain; \
         spent {spent} of {hard} micro-dollars, at most {most} held and spent",
        took.as_secs_f64()
    );
    assert_eq!((useful, in_vain), (jobs, 0));
    assert_eq!((spent, over), (hard, 0));
    // It was as bad as it says.
    assert!(kills > 0);
    let faults = system.simulated("faults").await;
    let never = faults.iter().filter(|fault| fault["fired"] == 0).count();
    assert!(faults.len() == 3 && (jobs < 200 || never == 0), "{faults:?}");
    system.stop().await;
}
