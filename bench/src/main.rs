//! Benchmarks of Spool beside raw SQL and other queues, on the same machine, in the same run.

mod chart;
mod contestant;
mod database;
mod figures;
mod flight;
mod http;
mod machine;
mod measure;
mod memory;
mod page;
mod program;
mod queue;
mod report;
mod roster;
mod server_cpu;
mod system;
mod table;
mod telemetry;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures Spool beside raw SQL and other queues. Makes databases of its own on the server of DATABASE_URL, and drops them.
#[derive(Parser)]
#[command(name = "spool-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Enqueue, drain and pickup of the queue, beside raw SQL and other queues.
    Queue(queue::Queue),
    /// The queue at a steady load for minutes: memory and latency of each minute.
    Soak(measure::soak::Soak),
    /// What metrics and logs cost at full queue speed.
    Telemetry(telemetry::Overhead),
    /// Rewrite docs/benchmarks.md from a file of figures.
    Publish(queue::Publish),
    /// Thousands of predictions in flight on one worker of a running system: memory, CPU, and how fast a webhook wakes.
    Flight(flight::Flight),
    /// Status polls and creations over HTTP, beside axum and one statement, and polls while films are made.
    Http(http::Http),
    /// Memory of a running system while a film is made and a large file goes in and out.
    Memory(memory::Memory),
    /// One side of the comparison at one work, in this process.
    #[command(hide = true)]
    Contestant(contestant::Orders),
}

#[tokio::main]
async fn main() -> ExitCode {
    let measured = match Arguments::parse().command {
        Command::Queue(queue) => queue.run().await,
        Command::Soak(soak) => soak.run().await,
        Command::Telemetry(overhead) => overhead.run().await,
        Command::Publish(publish) => publish.run(),
        Command::Flight(flight) => flight.run().await,
        Command::Http(http) => http.run().await,
        Command::Memory(memory) => memory.run().await,
        Command::Contestant(orders) => contestant::run(&orders).await,
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("spool-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
