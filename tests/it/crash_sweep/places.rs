//! The places at which workers can die, and who leads to each.

use system_tests::system::{command, program};

/// How the names of the places begin that no job of the sweep passes.
const ELSEWHERE: &[&str] = &["Memo", "Recall", "Overdue", "Claim", "Orphan", "Hook"];
/// The tests that kill at these.
const OTHER_TESTS: &[&str] = &[
    include_str!("../memo.rs"),
    include_str!("../cancel.rs"),
    include_str!("../doubt.rs"),
    include_str!("../orphans.rs"),
    include_str!("../hooks.rs"),
];

async fn all() -> Vec<String> {
    let output = command(program("spool-worker")).arg("--crash-points").output().await.expect("it runs");
    assert!(output.status.success(), "build with --features spool-worker/crash-points: {output:?}");
    let points = String::from_utf8(output.stdout).expect("text");
    points.lines().map(ToOwned::to_owned).collect()
}

fn is_elsewhere(place: &str) -> bool {
    ELSEWHERE.iter().any(|start| place.starts_with(start))
}

/// The names of all places that the sweep leads to.
pub(super) async fn crash_points() -> Vec<String> {
    let mut places = all().await;
    places.retain(|place| !is_elsewhere(place));
    places
}

#[tokio::test]
async fn other_tests_kill_where_the_sweep_does_not_lead() {
    let elsewhere = all().await.into_iter().filter(|place| is_elsewhere(place));
    let named = |place: &str| OTHER_TESTS.iter().any(|test| test.contains(&format!("\"{place}\"")));
    let missed: Vec<String> = elsewhere.filter(|place| !named(place)).collect();
    assert!(missed.is_empty(), "no test leads to {missed:?}");
}
