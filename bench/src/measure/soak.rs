//! Minutes at a part of capacity: memory and latency have to stay what they were.

use std::time::Duration;

use clap::Args;

use super::{Bench, Trial, under_load};
use crate::{
    contestant::{load::Running, resident_mb},
    figures::BoxError,
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
        for minute in 1..=self.minutes {
            tokio::time::sleep(Duration::from_secs(60)).await;
            let (latencies, now) = (running.take(), bench.server_cpu());
            println!(
                "{minute} | {} | {:.2} | {:.2} | {:.0} | {:.1} | {:.2}",
                latencies.count(),
                latencies.quantile(0.5),
                latencies.quantile(0.99),
                latencies.quantile(1.0),
                resident_mb(),
                (now - cpu) / 60.0
            );
            cpu = now;
        }
        running.finish().await
    }
}
