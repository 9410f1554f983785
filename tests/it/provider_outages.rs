//! The provider is away for a while: nobody listens, or every answer is an error. No attempt is used up, nothing is lost or
//! bought twice, and everything goes on by itself when it is back.

use serde_json::json;
use std::time::{Duration, Instant};
use system_tests::books::number;
use system_tests::system::{Options, System};
use system_tests::wait;

const JOBS: usize = 6;
/// Calls that fail before the provider's breaker opens.
const BREAKER_FEWEST: usize = 5;
/// How long it stays open each time, in seconds; the last repeats. Then one probe goes.
const BREAKER_OPEN_S: [u64; 4] = [10, 20, 40, 60];
/// After an outage the longest rest passes before everybody has looked again.
const RECOVERY: Duration = Duration::from_secs(240);

/// How long it is away, in seconds; two minutes by `SPOOL_TEST_OUTAGE_SECONDS=120`.
fn length() -> Duration {
    let given = std::env::var("SPOOL_TEST_OUTAGE_SECONDS").ok();
    Duration::from_secs(given.and_then(|text| text.parse().ok()).unwrap_or(15))
}

/// The most paid calls that an outage may cost: those that open the breaker, those that were on their way when it opened (one of
/// each job that wants to buy), and a probe each time that it has been open.
fn most_in_vain(length: Duration) -> usize {
    let last = BREAKER_OPEN_S[BREAKER_OPEN_S.len() - 1];
    let times = BREAKER_OPEN_S.into_iter().chain(std::iter::repeat(last));
    let ends = times.scan(0, |end, open| {
        *end += open;
        Some(*end)
    });
    BREAKER_FEWEST + JOBS / 2 + ends.take_while(|end| *end <= length.as_secs()).count()
}

/// Half of the jobs have a clip in the making, the others come while nobody is there.
async fn through_an_outage(begin: impl AsyncFn(&System), end: impl AsyncFn(&System)) {
    let env = vec![("SPOOL_SUBMIT_SETTLE_SECONDS", "4".into())];
    let system = System::start(&Options { workers: 2, speed: 60.0, cheap_media: true, env }).await;
    system.workers_are(2).await;
    let campaign = system.campaign().await;
    // They end while the provider is away.
    let slow = json!({"times": "always", "fault": {"kind": "run_time", "seconds": 300}});
    system.fault(slow).await;
    let mut ids = Vec::new();
    for _ in 0..JOBS / 2 {
        ids.push(system.small_job(&campaign, json!({})).await);
    }
    let pool = system.database().await;
    wait::until("the first half to be in the making", async || {
        let submitted = "SELECT count(*) FROM predictions WHERE state = 'submitted'";
        (number(&pool, submitted).await == (JOBS / 2) as i64).then_some(())
    })
    .await;
    begin(&system).await;
    let begun = Instant::now();
    for _ in 0..JOBS / 2 {
        ids.push(system.small_job(&campaign, json!({})).await);
    }
    tokio::time::sleep(length()).await;
    let failed = number(&pool, "SELECT count(*) FROM jobs WHERE state IN ('failed', 'canceled')").await;
    assert_eq!(failed, 0, "nothing fails for an outage");
    let away = begun.elapsed();
    end(&system).await;
    wait::within(RECOVERY, "everything to complete", async || {
        let completed = number(&pool, "SELECT count(*) FROM jobs WHERE state = 'completed'").await;
        (completed == JOBS as i64).then_some(())
    })
    .await;
    let burnt = number(&pool, "SELECT count(*) FROM queue.task_history WHERE attempt > 1").await;
    assert_eq!(burnt, 0, "attempts of tasks");
    let tries = "SELECT count(*) FROM predictions WHERE state IN ('failed', 'canceled', 'aborted')";
    assert_eq!(number(&pool, tries).await, 0, "tries of scenes");
    assert_eq!(system.purchases().await, (JOBS, 0));
    system.books_balance().await;
    let in_vain = "SELECT count(*) FROM predictions WHERE state IN ('refused', 'void')";
    let (posts, most) = (number(&pool, in_vain).await, most_in_vain(away));
    assert!(posts > 0 && posts <= most as i64, "{posts} paid calls in vain, the breaker allows {most}");
    let polls = number(&pool, "SELECT sum(polls)::bigint FROM predictions").await;
    eprintln!(
        "away for {:?}: {posts} paid calls in vain of {most} at most, {polls} looks, all {JOBS} jobs completed",
        length()
    );
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nobody_listens_work_waits() {
    through_an_outage(
        async |system| {
            let url = format!("{}/_sim/outage", system.ready.simulator);
            // The door may close on the answer.
            system.http.post(url).json(&json!({"seconds": length().as_secs()})).send().await.ok();
        },
        async |system| {
            wait::until("the provider to be back", async || {
                let url = format!("{}/_sim/healthz", system.ready.simulator);
                system.http.get(url).send().await.ok()
            })
            .await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_every_answer_is_an_error_work_waits() {
    through_an_outage(
        async |system| {
            for route in ["create", "get", "list", "cancel"] {
                let unavailable = json!({"kind": "http_error", "status": 503, "when": "before"});
                system
                    .fault(json!({"match": {"route": route}, "times": "always", "fault": unavailable}))
                    .await;
            }
        },
        async |system| system.no_faults().await,
    )
    .await;
}
