//! The log files of a running system.

use crate::system::System;
use serde_json::Value;

impl System {
    /// Every log file by name, as it is now.
    pub fn logs(&self) -> Vec<(String, String)> {
        let folder = self.dir.path().join("logs");
        let files = std::fs::read_dir(folder).expect("the folder of logs");
        let read = |entry: std::io::Result<std::fs::DirEntry>| {
            let path = entry.expect("an entry").path();
            let text = String::from_utf8_lossy(&std::fs::read(&path).expect("a log")).into_owned();
            (path.file_name().expect("a name").to_string_lossy().into_owned(), text)
        };
        files.map(read).collect()
    }

    /// The JSON lines of the programs whose log begins so: `api`, `worker`.
    pub fn lines(&self, program: &str) -> Vec<Value> {
        let logs = self.logs();
        let of_program = logs.iter().filter(|(name, _)| name.starts_with(program));
        // The last line may not be whole yet.
        of_program
            .flat_map(|(_, text)| text.lines())
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }
}
