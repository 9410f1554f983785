//! One place at a time, one job, and the books after each: for every trouble that leaves the outcome of a paid call unknown.

use super::options;
use super::rounds::{ONLY_ALONE, ROUNDS, Round};
use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Mutex;
use system_tests::armed::Armed;
use system_tests::system::System;

/// Far more than all these jobs cost.
const ENOUGH: i64 = 100_000_000_000;
/// Whole systems side by side, each with its own database and provider: a round mostly waits.
const SYSTEMS: usize = 4;

type Due<'a> = Vec<(&'static Round, &'a str)>;

/// What has to happen before a worker comes to a place: only a run that died leaves an intent behind.
fn before(place: &str) -> Option<&'static str> {
    place.starts_with("Loss").then_some("IntentWritten")
}

pub(super) async fn run(ordinary: &[&str]) {
    let mut due: Due = Vec::new();
    for round in ROUNDS.iter().chain(ONLY_ALONE).filter(|round| !round.alone.is_empty()) {
        let ordinary = ordinary.iter().filter(|place| !round.beyond.contains(place));
        due.extend(ordinary.chain(round.alone).map(|place| (round, *place)));
    }
    eprintln!("{} rounds of one place and one job, in {SYSTEMS} systems", due.len());
    let due = Mutex::new(due);
    join_all((0..SYSTEMS).map(|_| in_a_system(&due))).await;
}

async fn in_a_system(due: &Mutex<Due<'_>>) {
    let armed = Armed::new();
    let system = System::start(&options(&armed)).await;
    system.workers_are(4).await;
    let campaign = system.campaign().await;
    let body = json!({"scope": "all", "period": "day", "hard_limit_micros": ENOUGH});
    let answer = system.request(Method::PUT, "/api/v3/admin/budgets", Some(body)).await;
    assert!(answer.status().is_success(), "{:?}", answer.text().await);
    let next = || due.lock().expect("nobody panics while holding it").pop();
    while let Some((round, place)) = next() {
        let places: BTreeSet<&str> = before(place).into_iter().chain([place]).collect();
        round.run(&system, &campaign, &armed, &places, 1).await;
    }
    system.stop().await;
}
