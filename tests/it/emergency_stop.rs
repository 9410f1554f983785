//! The emergency stop halts new spending within a second, whatever is under way, and nothing fails of it.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use system_tests::system::{Options, System, command, program};
use system_tests::wait;

/// Jobs before the stop is prepared, and as many again that meet it.
const JOBS: usize = 15;
const SECOND: TimeDelta = TimeDelta::seconds(1);

#[expect(clippy::disallowed_methods, reason = "the simulator's clock is this machine's")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
async fn number(conn: &mut sqlx::PgConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(conn).await.expect("a number")
}

/// What `spool budget` prints, as an operator types it.
async fn budget(system: &System, words: &[&str]) -> String {
    let mut spool = command(program("spool"));
    spool.arg("budget").args(words).args(["--database-url", &system.ready.database_url]);
    let output = spool.output().await.expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_ordered_later_than_a_second_after_the_stop() {
    let options = Options { workers: 3, speed: 60.0, cheap_media: true, ..Options::default() };
    let system = System::start(&options).await;
    let campaign = system.campaign().await;
    let mut ids = Vec::new();
    for _ in 0..JOBS {
        ids.push(system.small_job(&campaign, json!({})).await);
    }
    wait::until("purchases to be under way", async || (system.creates().await.len() >= 5).then_some(()))
        .await;

    // Some are held up where they hold their money, after they have begun and before they have sent anything.
    let pool = system.database().await;
    let mut holding_up = pool.begin().await.expect("a transaction");
    number(&mut holding_up, "SELECT count(*) FROM (SELECT 1 FROM budget_periods FOR UPDATE) held").await;
    for _ in 0..JOBS {
        ids.push(system.small_job(&campaign, json!({})).await);
    }
    wait::until("a purchase to be held up", async || {
        let held_up = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%budget_reserve%'";
        (number(&mut *pool.acquire().await.ok()?, held_up).await > 0).then_some(())
    })
    .await;
    let told = budget(&system, &["stop", "prices look wrong"]).await;
    assert_eq!(told, "all new spending is stopped; `spool budget resume` lifts it\n");
    let answered = now();
    wait::until("a second to pass", async || (now() > answered + SECOND).then_some(())).await;
    holding_up.rollback().await.expect("rolled back");
    // What comes later is stopped, too.
    ids.push(system.small_job(&campaign, json!({})).await);
    // Those in the provider's line meet the stop in their turn.
    let stopped = wait::until("all others to wait for the stop's end", async || {
        let mut stopped = 0;
        for id in &ids {
            let job: Value = system.get(&format!("/api/v3/jobs/{id}")).await;
            let waits = job["parked_reason"] == "spending is stopped: prices look wrong";
            if !waits && job["status"] != "completed" {
                return None;
            }
            stopped += usize::from(waits);
        }
        Some(stopped)
    })
    .await;
    assert!(stopped > 0, "all was bought before the stop: this proves nothing");
    let creates = system.creates().await;
    assert_eq!(creates.len(), ids.len() - stopped);
    let last = creates[creates.len() - 1];
    println!("{stopped} jobs stopped; the last order came {} after the command ended", last - answered);
    assert!(last <= answered + SECOND, "ordered at {last}, stopped at {answered}");

    budget(&system, &["resume"]).await;
    for id in &ids {
        assert_eq!(system.finished(*id).await["status"], "completed");
        system.ledgers_agree(*id, 1).await;
    }
    system.nothing_else_was_bought().await;
    system.books_balance().await;
    system.stop().await;
}
