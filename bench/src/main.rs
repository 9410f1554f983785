//! Benchmarks of Spool beside what raw SQL can do on the same machine, in the same run.

mod ceiling;
mod database;
mod figures;
mod memory;
mod report;
mod spool;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    database::Database,
    figures::{BoxError, Series},
    report::Report,
};

/// Measures Spool beside raw SQL. Uses a database of its own on the server of DATABASE_URL, and drops it.
#[derive(Parser)]
#[command(name = "spool-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Enqueue, drain and pickup latency of the queue.
    Queue(QueueArguments),
    /// Memory of a running system while a film is made and a large file goes in and out.
    Memory(memory::Memory),
}

#[derive(clap::Args)]
struct QueueArguments {
    /// A Postgres server where databases may be made. Give it durable settings: they are part of what is measured.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// Rounds; ceilings and Spool take turns in each.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Tasks to drain and to enqueue in batches; a fifth of it one by one.
    #[arg(long, default_value_t = 100_000)]
    tasks: usize,
    /// Tasks whose pickup is timed, one every 20 ms.
    #[arg(long, default_value_t = 250)]
    pickups: usize,
    /// Only workloads whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Where the JSON file goes.
    #[arg(long, default_value = "bench/results")]
    out: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let measured = match Arguments::parse().command {
        Command::Queue(arguments) => queue(&arguments).await,
        Command::Memory(memory) => memory.run().await,
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("spool-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn queue(arguments: &QueueArguments) -> Result<(), BoxError> {
    let database = Database::create(&arguments.database_url).await?;
    let measured = measure(&database, arguments).await;
    let dropped = database.drop().await;
    let report = measured?;
    dropped?;
    print!("{}", report.table());
    let file = report.write(&arguments.out)?;
    println!("\nwritten to {}", file.display());
    Ok(())
}

async fn measure(database: &Database, arguments: &QueueArguments) -> Result<Report, BoxError> {
    let (many, few) = (arguments.tasks, arguments.tasks / 5);
    let mut report = Report::new(database.settings().await?, arguments.rounds, many);
    for round in 1..=arguments.rounds {
        for &(name, unit) in WORKLOADS {
            if !name.contains(arguments.only.as_str()) {
                continue;
            }
            eprintln!("round {round} of {}: {name}", arguments.rounds);
            let series = report.series(name, unit);
            match name {
                ENQUEUE_ONE => {
                    series.ceiling(ceiling::enqueue_one_by_one(database, few).await?);
                    series.spool(spool::enqueue_one_by_one(database, few).await?);
                }
                ENQUEUE_MANY => {
                    series.ceiling(ceiling::enqueue_in_batches(database, many).await?);
                    series.spool(spool::enqueue_in_batches(database, many).await?);
                }
                DRAIN => {
                    series.ceiling(ceiling::drain_in_batches(database, many).await?);
                    series.spool(spool::drain(database, many, None).await?);
                }
                DRAIN_TUNED => {
                    series.ceiling(ceiling::drain_in_batches(database, many).await?);
                    series.spool(spool::drain(database, many, Some(spool::TUNED_SLOTS)).await?);
                }
                DRAIN_ALONE => {
                    series.ceiling(ceiling::drain_one_by_one(database, few).await?);
                    series.spool(spool::drain_alone(database, few).await?);
                }
                _ => pickups(database, arguments.pickups, series).await?,
            }
        }
    }
    Ok(report)
}

/// p50 is the figure of the series, p99 goes beside it.
async fn pickups(database: &Database, count: usize, series: &mut Series) -> Result<(), BoxError> {
    let raw = ceiling::pickup(database, count).await?;
    let ours = spool::pickup(database, count).await?;
    series.ceiling(raw.p50);
    series.ceiling_tail(raw.p99);
    series.spool(ours.p50);
    series.spool_tail(ours.p99);
    Ok(())
}

const ENQUEUE_ONE: &str = "enqueue one by one, 16 clients";
const ENQUEUE_MANY: &str = "enqueue in batches of 1000, 1 client";
const DRAIN: &str = "drain no-op, default settings";
const DRAIN_TUNED: &str = "drain no-op, tuned slots";
const DRAIN_ALONE: &str = "drain, completed alone, 24 at once";
const PICKUP: &str = "pickup of one task per 20 ms";

const WORKLOADS: &[(&str, &str)] = &[
    (ENQUEUE_ONE, "tasks/s"),
    (ENQUEUE_MANY, "tasks/s"),
    (DRAIN, "tasks/s"),
    (DRAIN_TUNED, "tasks/s"),
    (DRAIN_ALONE, "tasks/s"),
    (PICKUP, "ms"),
];
