//! The places at which a worker of a test build is told to die, by a folder that it looks into.

use crate::wait;
use std::path::Path;
use tempfile::TempDir;

/// The folder that workers look into.
#[derive(Debug)]
pub struct Armed(TempDir);

impl Armed {
    /// Nothing is armed.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    /// What workers must be started with.
    pub fn env(&self) -> (&'static str, String) {
        ("SPOOL_CRASH_DIR", self.folder().display().to_string())
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    /// One process dies at the place; with a number of milliseconds it stands still there instead.
    pub fn arm(&self, place: &str, milliseconds: &str) {
        std::fs::write(self.folder().join(place), milliseconds).expect("armed");
    }

    /// Places that no worker has passed yet.
    pub fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder()).expect("the folder");
        let mut left: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        left.sort();
        left
    }

    /// Fails unless a worker has passed every place that was armed.
    pub fn all_reached(&self, when: &str) {
        let left = self.left();
        assert!(left.is_empty(), "{when}: no worker passed {left:?}");
    }

    /// Waits until a worker has passed every place that was armed.
    pub async fn until_reached(&self, when: &str) {
        wait::until(&format!("{when}: workers at {:?}", self.left()), async || {
            self.left().is_empty().then_some(())
        })
        .await;
    }
}

impl Default for Armed {
    fn default() -> Self {
        Self::new()
    }
}
