//! One place at a time, one job, and the books after each: for every trouble that leaves the outcome of a paid call unknown.

use super::rounds::ROUNDS;
use reqwest::Method;
use serde_json::json;
use std::collections::BTreeSet;
use system_tests::armed::Armed;
use system_tests::system::System;

/// Far more than all these jobs cost.
const ENOUGH: i64 = 100_000_000_000;

/// What has to happen before a worker comes to a place: only a run that died leaves an intent behind.
fn before(place: &str) -> Option<&'static str> {
    place.starts_with("Loss").then_some("IntentWritten")
}

pub(super) async fn run(system: &System, campaign: &str, armed: &Armed, ordinary: &[&str]) {
    let body = json!({"scope": "all", "period": "day", "hard_limit_micros": ENOUGH});
    let answer = system.request(Method::PUT, "/api/v3/admin/budgets", Some(body)).await;
    assert!(answer.status().is_success(), "{:?}", answer.text().await);
    for round in ROUNDS.iter().filter(|round| !round.alone.is_empty()) {
        let ordinary = ordinary.iter().filter(|place| !round.beyond.contains(place));
        for place in ordinary.chain(round.alone) {
            let places: BTreeSet<&str> = before(place).into_iter().chain([*place]).collect();
            round.run(system, campaign, armed, &places, 1).await;
        }
    }
}
