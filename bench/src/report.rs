//! The file that machines read: every figure of a run, and what it was measured on.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    figures::{BoxError, median},
    machine::Machine,
    roster::RAW,
};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) measured_at: String,
    #[serde(flatten)]
    pub(crate) machine: Machine,
    pub(crate) rounds: usize,
    pub(crate) postgres: Vec<(String, String)>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Section {
    Compare,
    Growth,
    Load,
    Idle,
    Recovery,
}

/// One side at one work, over all rounds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) section: Section,
    pub(crate) work: String,
    pub(crate) side: String,
    pub(crate) unit: String,
    /// Rates, or medians of latencies.
    pub(crate) figures: Vec<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) p99: Vec<f64>,
    /// Seconds of CPU per 10,000 tasks, worker and Postgres.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) cpu_per_10k: Vec<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) peak_mb: Vec<f64>,
    /// The median by that of plain SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<f64>,
    /// Why a figure is missing, or what else is to be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl Report {
    pub(crate) async fn new((measured_at, postgres): (String, Vec<(String, String)>), rounds: usize) -> Self {
        Self { measured_at, machine: Machine::now().await, rounds, postgres, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, section: Section, work: &str, side: &str, unit: &'static str) -> &mut Row {
        let found =
            self.rows.iter().position(|row| row.section == section && row.work == work && row.side == side);
        let index = found.unwrap_or_else(|| {
            self.rows.push(Row {
                section,
                work: work.to_owned(),
                side: side.to_owned(),
                unit: unit.to_owned(),
                figures: Vec::new(),
                p99: Vec::new(),
                cpu_per_10k: Vec::new(),
                peak_mb: Vec::new(),
                ratio: None,
                note: None,
            });
            self.rows.len() - 1
        });
        &mut self.rows[index]
    }

    /// Compares each row with plain SQL at the same work.
    pub(crate) fn rate(&mut self) {
        let ceilings: Vec<(String, f64)> = self
            .rows
            .iter()
            .filter(|row| row.side == RAW && !row.figures.is_empty())
            .map(|row| (row.work.clone(), median(&row.figures)))
            .collect();
        for row in self.rows.iter_mut().filter(|row| !row.figures.is_empty()) {
            let ceiling = ceilings.iter().find(|(work, _)| *work == row.work);
            row.ratio =
                ceiling.map(|(_, ceiling)| (median(&row.figures) / ceiling * 1000.0).round() / 1000.0);
        }
    }

    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> Result<PathBuf, BoxError> {
        std::fs::create_dir_all(folder)?;
        let file = folder.join(format!("queue-{}.json", self.measured_at.replace(':', "")));
        std::fs::write(&file, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(file)
    }

    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn read(file: &Path) -> Result<Self, BoxError> {
        Ok(serde_json::from_str(&std::fs::read_to_string(file)?)?)
    }
}
