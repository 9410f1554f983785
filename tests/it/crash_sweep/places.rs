//! The places at which a worker of a test build can be told to die, and the folder that tells it.

use std::path::Path;
use system_tests::system::{command, program};
use system_tests::wait;
use tempfile::TempDir;

/// The folder that workers look into.
pub(super) struct Armed(TempDir);

impl Armed {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub(super) fn folder(&self) -> &Path {
        self.0.path()
    }

    /// One process dies at the place; with a number of milliseconds it stands still there instead.
    pub(super) fn arm(&self, place: &str, milliseconds: &str) {
        std::fs::write(self.folder().join(place), milliseconds).expect("armed");
    }

    /// Places that no worker has passed yet.
    pub(super) fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder()).expect("the folder");
        let mut left: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        left.sort();
        left
    }

    /// Fails unless a worker has passed every place that was armed.
    pub(super) fn all_reached(&self, when: &str) {
        let left = self.left();
        assert!(left.is_empty(), "{when}: no worker passed {left:?}");
    }

    /// Waits until a worker has passed every place that was armed.
    pub(super) async fn until_reached(&self, when: &str) {
        wait::until(&format!("{when}: workers at {:?}", self.left()), async || {
            self.left().is_empty().then_some(())
        })
        .await;
    }
}

/// Places that no job of the sweep passes: `memo.rs` and `cancel.rs` kill at these.
const ELSEWHERE: &[&str] = &["Memo", "Recall"];

/// The names of all places that the sweep leads to.
pub(super) async fn crash_points() -> Vec<String> {
    let output = command(program("spool-worker")).arg("--crash-points").output().await.expect("it runs");
    assert!(output.status.success(), "build with --features spool-worker/crash-points: {output:?}");
    let points = String::from_utf8(output.stdout).expect("text");
    let passed = |point: &&str| !ELSEWHERE.iter().any(|start| point.starts_with(start));
    points.lines().filter(passed).map(ToOwned::to_owned).collect()
}
