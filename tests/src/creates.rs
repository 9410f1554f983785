//! When paid calls reached the simulator.

use crate::system::System;
use chrono::{DateTime, Utc};

impl System {
    /// When each POST that creates a prediction arrived, oldest first: bought, refused or lost.
    pub async fn creates(&self) -> Vec<DateTime<Utc>> {
        let all = self.simulated("requests").await;
        let creates = all.iter().filter(|one| one["create"] == true);
        let times = creates.map(|one| one["at"].as_str().expect("a time").parse().expect("RFC 3339"));
        let mut times: Vec<DateTime<Utc>> = times.collect();
        times.sort_unstable();
        times
    }
}
