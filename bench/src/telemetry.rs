//! What metrics and logs cost at full queue speed: the same drain with and without them, in turns in one run.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::{
    contestant::{Config, Telemetry},
    figures::{BoxError, median, range},
    measure::{Bench, Measured, Trial},
    page,
    roster::{self, SPOOL, Side},
};

/// Tasks of one drain: two or three seconds of work.
const TASKS: usize = 100_000;
/// What both together may cost, in per cent of the speed.
const ALLOWED: f64 = 5.0;
const CONFIGS: [(Config, &str); 2] = [(Config::Default, "default settings"), (Config::Tuned, "tuned")];

#[derive(Debug, Args)]
pub(crate) struct Overhead {
    /// A Postgres server where databases may be made. Give it durable settings: they are part of what is measured.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// Each takes its turn in each.
    #[arg(long, default_value_t = 25)]
    rounds: usize,
    /// The page whose generated part is rewritten.
    #[arg(long)]
    page: Option<PathBuf>,
}

/// Drains of one configuration with one choice of who listens, by round.
#[derive(Default)]
struct Drains {
    rates: Vec<f64>,
    cpu: Vec<f64>,
}

impl Overhead {
    /// # Errors
    /// What could not be measured, or that it costs more than it may.
    pub(crate) async fn run(&self) -> Result<(), BoxError> {
        let limit = Duration::from_secs(60 * 20);
        let mut bench = Bench::new(&self.database_url, self.rounds, limit).await?;
        let measured = self.measure(&mut bench).await;
        bench.server.drop_all().await;
        let (text, worst) = measured?;
        println!("{text}");
        if let Some(path) = &self.page {
            page::put(path, "telemetry", &text)?;
            println!("{} is rewritten", path.display());
        }
        if worst > ALLOWED {
            Err(format!("{worst:.1} % slower, {ALLOWED} % are allowed").into())
        } else {
            Ok(())
        }
    }

    /// The table, and by how many per cent the slower configuration is slowed down.
    async fn measure(&self, bench: &mut Bench) -> Result<(String, f64), BoxError> {
        let sides = roster::own(&std::env::current_exe()?);
        let spool = sides.iter().find(|side| side.name == SPOOL).ok_or("no Spool")?;
        let mut text = String::from(
            "| drain of 100,000 no-op tasks | listening | median (min to max) | of off, by rounds | CPU s per 10,000 |\n| --- | --- | --- | --- | --- |\n",
        );
        let mut worst = f64::NEG_INFINITY;
        for (config, title) in CONFIGS {
            let drains = self.drains(bench, spool, config).await?;
            for (telemetry, drains_of) in Telemetry::ALL.into_iter().zip(&drains) {
                let ratio = ratio(drains_of, &drains[0]);
                if telemetry == Telemetry::Both {
                    worst = worst.max((1.0 - ratio) * 100.0);
                }
                let (low, high) = range(&drains_of.rates);
                writeln!(
                    text,
                    "| {title} | {} | {:.0} ({low:.0} to {high:.0}) tasks/s | {ratio:.3} | {:.2} |",
                    named(telemetry),
                    median(&drains_of.rates),
                    median(&drains_of.cpu),
                )?;
            }
        }
        let machine = &bench.report.machine;
        write!(
            text,
            "\nCommit {}, {}; {} cores, shared by server and worker; load average before {}; {} rounds, in turns.",
            machine.commit, bench.report.measured_at, machine.cores, machine.load_before, self.rounds
        )?;
        Ok((text, worst))
    }

    /// In the order of [`Telemetry::ALL`]; another one begins each round.
    async fn drains(&self, bench: &mut Bench, spool: &Side, config: Config) -> Result<[Drains; 4], BoxError> {
        let mut drains: [Drains; 4] = Default::default();
        let log = std::env::temp_dir().join(format!("spool-bench-{}.log", std::process::id()));
        for round in 0..self.rounds {
            for turn in 0..Telemetry::ALL.len() {
                let index = (round + turn) % Telemetry::ALL.len();
                let telemetry = Telemetry::ALL[index];
                bench.say(&format!("round {}: {config:?}, {}", round + 1, named(telemetry)));
                let measured = bench.run(spool, trial(config, telemetry, &log)).await;
                std::fs::remove_file(&log).ok();
                let measured: Measured = measured?;
                drains[index].rates.push(measured.rate());
                drains[index].cpu.push(measured.cpu_per_10k());
            }
        }
        Ok(drains)
    }
}

fn trial(config: Config, telemetry: Telemetry, log: &Path) -> Trial<'static> {
    let more = ["--telemetry", telemetry.word()].map(str::to_owned).into();
    Trial { config, tasks: TASKS, filled: TASKS, more, log: Some(log.to_owned()), ..Trial::default() }
}

const fn named(telemetry: Telemetry) -> &'static str {
    match telemetry {
        Telemetry::Off => "off",
        Telemetry::Metrics => "metrics",
        Telemetry::Both => "metrics and a line per attempt",
        Telemetry::Traces => "metrics, a line and two spans per attempt",
    }
}

/// Of what each round's runs without were, the median: a slow minute of the machine hits both.
fn ratio(with: &Drains, without: &Drains) -> f64 {
    let ratios: Vec<f64> =
        with.rates.iter().zip(&without.rates).map(|(with, without)| with / without).collect();
    median(&ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_round_changes_nothing() {
        let drains = |rates: &[f64]| Drains { rates: rates.to_vec(), cpu: Vec::new() };
        let (with, without) = (drains(&[98.0, 49.0, 9.8]), drains(&[100.0, 50.0, 10.0]));
        assert!((ratio(&with, &without) - 0.98).abs() < 1e-9);
    }
}
