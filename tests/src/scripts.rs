//! Programs in other languages that tests run: what they need, and what they said when they fail.

use std::path::Path;
use tokio::process::Command;

/// Runs it to its end and gives what it printed.
///
/// # Panics
/// When it fails, with all it said.
pub async fn must_succeed(mut command: Command, what: &str) -> String {
    let output = command.output().await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = format!("{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what} failed:\n{said}");
    printed
}

/// The files of a folder, without those below it.
pub fn copy_into(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("the scripts") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a type").is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
        }
    }
}
