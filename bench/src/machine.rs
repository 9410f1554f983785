//! What a measurement ran on.

use serde::{Deserialize, Serialize};

use crate::program::first_line_of;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) commit: String,
    pub(crate) cores: usize,
    pub(crate) processor: String,
    /// How busy it was before the first run: one-minute load average.
    pub(crate) load_before: String,
}

impl Machine {
    /// As it is now, and the commit of the working folder.
    pub(crate) async fn now() -> Self {
        let commit =
            first_line_of("git", &["-c", "safe.directory=*", "describe", "--always", "--dirty"]).await;
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            commit: commit.unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: model.map_or("unknown", |(_, model)| model).to_owned(),
            load_before: load.split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}
