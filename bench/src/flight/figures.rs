//! What a measurement of predictions in flight came to, and which of its limits it passed.

use serde::Serialize;
use std::path::{Path, PathBuf};

use crate::figures::BoxError;
use crate::machine::Machine;

pub(super) const MOST_MEMORY_MB: f64 = 150.0;
/// Of one core, while all predictions wait.
pub(super) const MOST_IDLE_CPU_PERCENT: f64 = 15.0;
pub(super) const MOST_WAKE_P99_MS: f64 = 250.0;
/// With fewer wake-ups that could be counted, a percentile says little.
const FEWEST_COUNTED: f64 = 0.95;

/// Everything that is measured, once.
#[derive(Debug, Default, Serialize)]
pub(super) struct Figures {
    /// RFC 3339, by the database's clock.
    pub(super) measured_at: String,
    #[serde(flatten)]
    pub(super) machine: Machine,
    /// In flight at the same time.
    pub(super) predictions: usize,
    /// Until all were.
    pub(super) filled_seconds: f64,
    pub(super) memory_before_mb: f64,
    /// The most of the whole time.
    pub(super) memory_peak_mb: f64,
    pub(super) idle_cpu_percent: f64,
    pub(super) looks_per_second: f64,
    /// Renders that were let go.
    pub(super) wakes: u32,
    /// Of these, those that a webhook woke before a look found them.
    pub(super) wakes_counted: i64,
    pub(super) wake_p50_ms: f64,
    pub(super) wake_p99_ms: f64,
    pub(super) wake_most_ms: f64,
}

impl Figures {
    /// One sentence for each limit that was passed.
    pub(super) fn passed_limits(&self) -> Vec<String> {
        let limits = [
            ("MB of memory", self.memory_peak_mb, MOST_MEMORY_MB),
            ("% of a core while all wait", self.idle_cpu_percent, MOST_IDLE_CPU_PERCENT),
            ("ms from webhook to running (p99)", self.wake_p99_ms, MOST_WAKE_P99_MS),
        ];
        let passed = limits.iter().filter(|(_, figure, most)| figure.is_nan() || figure > most);
        let mut passed: Vec<String> = passed
            .map(|(what, figure, most)| format!("{figure:.1} {what}, the limit is {most:.0}"))
            .collect();
        if (self.wakes_counted as f64) < f64::from(self.wakes) * FEWEST_COUNTED {
            passed.push(format!("only {} of {} wake-ups could be counted", self.wakes_counted, self.wakes));
        }
        passed
    }

    /// # Errors
    /// When the file cannot be written.
    pub(super) fn write(&self, folder: &Path) -> Result<PathBuf, BoxError> {
        std::fs::create_dir_all(folder)?;
        let file = folder.join(format!("flight-{}.json", self.measured_at.replace(':', "")));
        std::fs::write(&file, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_one() {
        let good = || Figures {
            memory_peak_mb: 150.0,
            idle_cpu_percent: 15.0,
            wake_p99_ms: 250.0,
            wakes: 400,
            wakes_counted: 380,
            ..Figures::default()
        };
        assert!(good().passed_limits().is_empty(), "{:?}", good().passed_limits());
        for bad in [
            Figures { memory_peak_mb: 150.1, ..good() },
            Figures { idle_cpu_percent: 15.1, ..good() },
            Figures { wake_p99_ms: 251.0, ..good() },
            Figures { wake_p99_ms: f64::NAN, ..good() },
            Figures { wakes_counted: 379, ..good() },
        ] {
            assert_eq!(bad.passed_limits().len(), 1, "{bad:?}");
        }
    }
}
