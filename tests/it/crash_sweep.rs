//! A worker dies at every place where dying could lose or repeat something, under every trouble that leaves the outcome of a
//! paid call unknown. Each time the jobs end as they should, and the provider's ledger, ours and the budgets agree.

mod alone;
mod places;
mod rounds;
mod standoffs;

use places::crash_points;
use rounds::ROUNDS;
use serde_json::json;
use std::collections::BTreeSet;
use system_tests::armed::Armed;
use system_tests::system::{Options, System};

/// Purchases of a four-scene job with music.
const PURCHASES: usize = 8;
/// The sweep has at least so many places.
const FEWEST_PLACES: usize = 25;

fn options(armed: &Armed) -> Options {
    Options {
        workers: 4,
        speed: 120.0,
        cheap_media: true,
        env: vec![
            armed.env(),
            ("SPOOL_LEASE_SECONDS", "2".into()),
            ("SPOOL_SUBMIT_SETTLE_SECONDS", "4".into()),
        ],
    }
}

/// Every ordinary place in each round instead of in two of them; with a trouble that leaves an outcome unknown one place at a time,
/// and the books after each: more than an hour, by `SPOOL_TEST_SWEEP=full`.
fn full() -> bool {
    std::env::var("SPOOL_TEST_SWEEP").is_ok_and(|word| word == "full")
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_each_place_under_each_trouble_the_books_balance() {
    let armed = Armed::new();
    let system = System::start(&options(&armed)).await;
    system.workers_are(4).await;
    let campaign = system.campaign().await;
    let all = crash_points().await;
    assert!(all.len() >= FEWEST_PLACES, "{all:?}");
    let special: BTreeSet<&str> =
        ROUNDS.iter().flat_map(|round| round.places).chain(standoffs::PLACES).copied().collect();
    let ordinary: Vec<&str> =
        all.iter().map(String::as_str).filter(|place| !special.contains(place)).collect();
    let mut reached = BTreeSet::new();
    for (number, round) in ROUNDS.iter().enumerate() {
        let turn = |index: usize| [index, index / ROUNDS.len() + index + 1].map(|turn| turn % ROUNDS.len());
        let all_of_them = full() && round.alone.is_empty();
        let its_turn = |(index, place): &(usize, &&str)| {
            (all_of_them || turn(*index).contains(&number)) && !round.beyond.contains(place)
        };
        let due = ordinary.iter().enumerate().filter(its_turn).map(|(_, place)| *place);
        let places: BTreeSet<&str> =
            round.places.iter().copied().chain(due).filter(|place| !round.stills.contains(place)).collect();
        round.run(&system, &campaign, &armed, &places, rounds::JOBS).await;
        reached.extend(places);
    }
    if full() {
        alone::run(&ordinary).await;
    }
    reached.extend(standoffs::run(&system, &armed).await);
    let missed: Vec<&String> = all.iter().filter(|place| !reached.contains(place.as_str())).collect();
    assert!(missed.is_empty(), "no round leads to {missed:?}");
    system.books_balance().await;
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_place_of_one_job_it_still_completes() {
    let armed = Armed::new();
    let system = System::start(&options(&armed)).await;
    let campaign = system.campaign().await;
    for place in rounds::of_a_job_whose_answers_are_lost(&crash_points().await) {
        armed.arm(&place, "");
    }
    // Most of them: two stretches of music are told of as usual.
    for fault in rounds::answers_lost(6) {
        system.fault(fault).await;
    }
    let id = system.approved_job(&campaign, json!({})).await;
    let job = system.finished(id).await;
    assert_eq!(job["status"], "completed", "{job}");
    armed.all_reached("one job");
    system.ledgers_agree(id, PURCHASES).await;
    system.books_balance().await;
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_after_the_client_gave_up_is_no_second_purchase() {
    let env = vec![("SPOOL_SUBMIT_SETTLE_SECONDS", "4".into())];
    let system = System::start(&Options { workers: 1, speed: 120.0, cheap_media: true, env }).await;
    let campaign = system.campaign().await;
    // The client waits for 30 s.
    let late = json!({"match": {"route": "create"}, "times": 2,
                      "fault": {"kind": "latency", "response_ms": 40_000, "when": "after"}});
    system.fault(late).await;
    system.fault(json!({"times": "always", "fault": {"kind": "webhook_lost"}})).await;
    let ids = [system.small_job(&campaign, json!({})).await, system.small_job(&campaign, json!({})).await];
    for id in ids {
        let job = system.finished(id).await;
        assert_eq!(job["status"], "completed", "{job}");
    }
    assert_eq!(system.purchases().await, (2, 0));
    assert_eq!(system.simulated("predictions").await.len(), 2, "each was posted once");
    system.books_balance().await;
    system.stop().await;
}
