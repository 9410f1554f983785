//! One side of the comparison in a process of its own: what it is told, and the line of JSON that it answers with.
//!
//! The peers in `bench/peers` keep the same contract; see `bench/README.md`.

pub(crate) mod load;
mod process;
mod raw;
mod spool;
mod told;

use std::{io::Write, time::Instant};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::figures::{BoxError, Histogram};
pub(crate) use process::{TICKS, cpu_seconds, peak_mb, resident_mb};
pub(crate) use told::Telemetry;

/// Clients that enqueue one by one.
const CLIENTS: usize = 16;
/// Tasks of one batch.
const BATCH: usize = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Side {
    Raw,
    Spool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Action {
    /// Make the schema.
    Setup,
    /// Enqueue in batches of 1,000 on one connection.
    Fill,
    /// Enqueue one by one, 16 clients.
    Enqueue,
    /// From the start of a worker until the database shows that everything is done.
    Drain,
    /// The same, one task per claim and completion, 24 at once.
    DrainAlone,
    /// From before the enqueue to the start of the handler, an idle worker, one task every 20 ms.
    Pickup,
    /// A worker whose tasks never end; one line for each that starts.
    Hold,
    /// Drain beside others: until nothing is left, however much was one's own.
    Share,
    /// Workers without work.
    Idle,
    /// Open loop at a rate; rate 0: as much as goes through.
    Load,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Config {
    Default,
    Tuned,
}

/// What one side does.
#[derive(Debug, clap::Args)]
pub(crate) struct Orders {
    pub(crate) side: Side,
    pub(crate) action: Action,
    #[arg(long, default_value = "default")]
    pub(crate) config: Config,
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: String,
    /// Tasks; of `hold`: at once; of `idle`: workers.
    #[arg(long, default_value_t = 1000)]
    pub(crate) tasks: usize,
    /// Of `idle` and `load`.
    #[arg(long, default_value_t = 5)]
    pub(crate) seconds: u64,
    /// Tasks per second of `load`.
    #[arg(long, default_value_t = 0)]
    pub(crate) rate: u64,
    /// `drain` answers after so many seconds with what is done by then; 0: not before the end.
    #[arg(long, default_value_t = 0)]
    pub(crate) give_up: u64,
    /// `drain` with a handler that tells how each task ends, as a worker's steps do, and with this much of who listens.
    #[arg(long)]
    pub(crate) telemetry: Option<Telemetry>,
    /// More than this goes into each payload.
    #[arg(long, default_value_t = 0)]
    pub(crate) payload_bytes: usize,
}

/// What came of it. Peers answer with the same fields.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) tasks: usize,
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_mb: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) p50_ms: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) p99_ms: Option<f64>,
}

/// What `hold` says for each task that starts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Began {
    pub(crate) started: usize,
}

/// Time and CPU of one measurement.
#[derive(Clone, Copy)]
struct Clock {
    started: Instant,
    cpu: f64,
}

impl Clock {
    fn start() -> Self {
        Self { cpu: cpu_seconds(), started: Instant::now() }
    }

    fn is_over(&self, give_up: u64) -> bool {
        give_up > 0 && self.started.elapsed().as_secs() >= give_up
    }

    fn stop(&self, tasks: usize) -> Answer {
        Answer {
            tasks,
            seconds: self.started.elapsed().as_secs_f64(),
            cpu_seconds: cpu_seconds() - self.cpu,
            peak_mb: peak_mb(),
            p50_ms: None,
            p99_ms: None,
        }
    }

    fn stop_with(&self, latencies: &Histogram) -> Answer {
        let (p50, p99) = (latencies.quantile(0.5), latencies.quantile(0.99));
        Answer { p50_ms: Some(p50), p99_ms: Some(p99), ..self.stop(latencies.count()) }
    }
}

fn say(line: &impl Serialize) -> Result<(), BoxError> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, line)?;
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

pub(crate) async fn run(orders: &Orders) -> Result<(), BoxError> {
    let answer = match orders.side {
        Side::Raw => raw::run(orders).await?,
        Side::Spool => spool::run(orders).await?,
    };
    say(&answer)
}
