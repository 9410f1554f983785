//! The benchmark of the queue from the first database to the report.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    chart,
    figures::BoxError,
    measure::{Bench, compare, curves, recovery, under_load},
    page,
    report::Report,
    roster::{self, SPOOL, Side, Work},
    table,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Queue {
    /// A Postgres server where databases may be made. Give it durable settings: they are part of what is measured.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// Only Spool and raw SQL, only the main workloads.
    #[arg(long)]
    quick: bool,
    /// The folder into which `scripts/bench-peers.sh` has installed other queues.
    #[arg(long)]
    peers: Option<PathBuf>,
    /// Every side takes its turn in each.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only workloads whose name contains this, and nothing else.
    #[arg(long, default_value = "")]
    only: String,
    /// Only sides whose name contains this, beside raw SQL.
    #[arg(long, default_value = "")]
    side: String,
    /// After so many minutes nothing new is begun; what is missing then says so.
    #[arg(long, default_value_t = 27)]
    minutes: u64,
    /// Where the JSON file goes.
    #[arg(long, default_value = "bench/results")]
    out: PathBuf,
    /// The page whose generated part is rewritten; the chart goes beside it.
    #[arg(long)]
    page: Option<PathBuf>,
}

/// Writes the generated part of the page again, from a file of figures.
#[derive(Debug, clap::Args)]
pub(crate) struct Publish {
    /// A file of `bench/results`.
    file: PathBuf,
    #[arg(long, default_value = "docs/benchmarks.md")]
    page: PathBuf,
}

impl Queue {
    pub(crate) async fn run(&self) -> Result<(), BoxError> {
        let mut bench =
            Bench::new(&self.database_url, self.rounds, Duration::from_secs(60 * self.minutes)).await?;
        self.measure(&mut bench).await?;
        bench.server.drop_all().await;
        let mut report = bench.report;
        report.rate();
        print!("{}", table::all(&report));
        let file = report.write(&self.out)?;
        println!("\nwritten to {}", file.display());
        if let Some(page) = &self.page {
            publish(&report, page)?;
        }
        Ok(())
    }

    async fn measure(&self, bench: &mut Bench) -> Result<(), BoxError> {
        let mut sides = roster::own(&std::env::current_exe()?);
        if let Some(folder) = &self.peers {
            sides.extend(roster::peers(&std::path::absolute(folder)?));
        }
        sides.retain(|side| side.name == roster::RAW || side.name.contains(&self.side));
        let works: &[Work] = if self.quick { Work::QUICK } else { Work::ALL };
        let works: Vec<Work> =
            works.iter().copied().filter(|work| work.title().contains(&self.only)).collect();
        let mut given_up = HashSet::new();
        compare::run(bench, &sides, &works, 1..=1, &mut given_up).await;
        let spool = sides.iter().find(|side| side.name == SPOOL);
        // After the first round, so that each figure is there at least once when time runs out.
        if !self.quick && self.only.is_empty() {
            compare::pickup_beside_backlog(bench, &sides).await;
            under_load::run(bench, &sides).await;
            if let Some(spool) = spool {
                curves::run(bench, spool).await;
            }
            recovery::run(bench, &sides).await;
            if let Some(spool) = spool {
                recovery::cut_off(bench, spool).await;
            }
        }
        compare::run(bench, &sides, &works, 2..=self.rounds, &mut given_up).await;
        Ok(())
    }
}

impl Publish {
    pub(crate) fn run(&self) -> Result<(), BoxError> {
        publish(&Report::read(&self.file)?, &self.page)
    }
}

fn publish(report: &Report, path: &Path) -> Result<(), BoxError> {
    page::put(path, "figures", &table::all(report))?;
    let sides: Vec<Side> =
        roster::own(Path::new("")).into_iter().chain(roster::peers(Path::new(""))).collect();
    page::put(path, "promises", &table::promises(&sides))?;
    std::fs::write(path.with_extension("svg"), chart::draw(report))?;
    println!("{} is rewritten", path.display());
    Ok(())
}
