//! The table that people read and the file that machines read.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::figures::{BoxError, Series, median, range};

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    measured_at: String,
    cores: usize,
    rounds: usize,
    tasks: usize,
    postgres: Vec<(String, String)>,
    series: Vec<Series>,
}

impl Report {
    pub(crate) fn new(
        (measured_at, postgres): (String, Vec<(String, String)>),
        rounds: usize,
        tasks: usize,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        Self { measured_at, cores, rounds, tasks, postgres, series: Vec::new() }
    }

    pub(crate) fn series(&mut self, name: &'static str, unit: &'static str) -> &mut Series {
        let index = self.series.iter().position(|series| series.name == name).unwrap_or_else(|| {
            self.series.push(Series::new(name, unit));
            self.series.len() - 1
        });
        &mut self.series[index]
    }

    pub(crate) fn table(&self) -> String {
        let mut table = String::from(
            "\nworkload | unit | raw SQL: median (min-max) | Spool: median (min-max) | Spool / raw\n--- | --- | --- | --- | ---\n",
        );
        for series in &self.series {
            row(&mut table, series.name, series.unit, &series.ceiling, &series.spool);
            if !series.spool_p99.is_empty() {
                row(
                    &mut table,
                    &format!("{}, p99", series.name),
                    series.unit,
                    &series.ceiling_p99,
                    &series.spool_p99,
                );
            }
        }
        let settings: Vec<String> =
            self.postgres.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let _ = writeln!(
            table,
            "\n{} cores shared by server and client; {} rounds; {}",
            self.cores,
            self.rounds,
            settings.join(" ")
        );
        table
    }

    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> Result<PathBuf, BoxError> {
        std::fs::create_dir_all(folder)?;
        let file = folder.join(format!("queue-{}.json", self.measured_at.replace(':', "")));
        let mut value = serde_json::to_value(self)?;
        if let Some(series) = value.get_mut("series").and_then(|series| series.as_array_mut()) {
            for (json, series) in series.iter_mut().zip(&self.series) {
                json["ratio"] = serde_json::json!((series.ratio() * 1000.0).round() / 1000.0);
            }
        }
        std::fs::write(&file, serde_json::to_string_pretty(&value)? + "\n")?;
        Ok(file)
    }
}

fn row(table: &mut String, name: &str, unit: &str, ceiling: &[f64], spool: &[f64]) {
    let digits = if unit == "ms" { 2 } else { 0 };
    let cell = |figures: &[f64]| {
        let (low, high) = range(figures);
        format!("{:.digits$} ({low:.digits$}-{high:.digits$})", median(figures))
    };
    let _ = writeln!(
        table,
        "{name} | {unit} | {} | {} | {:.2}",
        cell(ceiling),
        cell(spool),
        median(spool) / median(ceiling)
    );
}
