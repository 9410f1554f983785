//! Minutes at a part of capacity: memory and latency have to stay what they were.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use serde::Serialize;

use super::{Bench, Trial, under_load};
use crate::{
    contestant::{load::Running, resident_mb},
    figures::BoxError,
    machine::Machine,
    report::Report,
    roster::{self, SPOOL},
};

#[derive(Debug, Args)]
pub(crate) struct Soak {
    /// A Postgres server where databases may be made.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Per cent of what goes through at most.
    #[arg(long, default_value_t = 70)]
    load: u64,
    /// Tasks per second, instead.
    #[arg(long)]
    rate: Option<u64>,
    /// Where the JSON file goes.
    #[arg(long, default_value = "bench/results")]
    out: PathBuf,
}

#[derive(Serialize)]
struct Figures<'a> {
    measured_at: &'a str,
    #[serde(flatten)]
    machine: &'a Machine,
    postgres: &'a [(String, String)],
    tasks_per_second: u64,
    minutes: Vec<Minute>,
}

#[derive(Serialize)]
struct Minute {
    tasks: usize,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    worker_mb: f64,
    postgres_cores: f64,
}

impl Soak {
    pub(crate) async fn run(&self) -> Result<(), BoxError> {
        let limit = Duration::from_secs(60 * (self.minutes + 5));
        let mut bench = Bench::new(&self.database_url, 1, limit).await?;
        let soaked = self.soak(&mut bench).await;
        bench.server.drop_all().await;
        soaked
    }

    async fn soak(&self, bench: &mut Bench) -> Result<(), BoxError> {
        let sides = roster::own(&std::env::current_exe()?);
        let spool = sides.iter().find(|side| side.name == SPOOL).ok_or("no Spool")?;
        let rate = match self.rate {
            Some(rate) => rate,
            None => (under_load::capacity(bench, spool).await? * self.load as f64 / 100.0) as u64,
        };
        let name = bench.database(spool, &Trial::default()).await?;
        let url = bench.server.url(&name);
        println!("{rate} tasks/s for {} minutes\n", self.minutes);
        println!(
            "minute | tasks | p50 ms | p99 ms | max ms | worker MB | Postgres CPU, cores\n--- | --- | --- | --- | --- | --- | ---"
        );
        let running = Running::start(&url, rate, Duration::from_secs(60 * self.minutes)).await?;
        let mut cpu = bench.server_cpu();
        let mut minutes = Vec::new();
        for number in 1..=self.minutes {
            tokio::time::sleep(Duration::from_secs(60)).await;
            let (latencies, now) = (running.take(), bench.server_cpu());
            let minute = Minute {
                tasks: latencies.count(),
                p50_ms: latencies.quantile(0.5),
                p99_ms: latencies.quantile(0.99),
                max_ms: latencies.quantile(1.0),
                worker_mb: resident_mb(),
                postgres_cores: (now - cpu) / 60.0,
            };
            println!(
                "{number} | {} | {:.2} | {:.2} | {:.0} | {:.1} | {:.2}",
                minute.tasks,
                minute.p50_ms,
                minute.p99_ms,
                minute.max_ms,
                minute.worker_mb,
                minute.postgres_cores
            );
            minutes.push(minute);
            cpu = now;
        }
        running.finish().await?;
        self.write(&bench.report, rate, minutes)
    }

    fn write(&self, report: &Report, rate: u64, minutes: Vec<Minute>) -> Result<(), BoxError> {
        let figures = Figures {
            measured_at: &report.measured_at,
            machine: &report.machine,
            postgres: &report.postgres,
            tasks_per_second: rate,
            minutes,
        };
        std::fs::create_dir_all(&self.out)?;
        let file = self.out.join(format!("soak-{}.json", report.measured_at.replace(':', "")));
        std::fs::write(&file, serde_json::to_string_pretty(&figures)? + "\n")?;
        println!("written to {}", file.display());
        Ok(())
    }
}
