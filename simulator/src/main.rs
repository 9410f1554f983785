//! The program `spool-simulator`.

use clap::Parser;
use spool_simulator::{Config, Simulator, SimulatorError};
use spool_telemetry::logging::LogFormat;
use spool_telemetry::traces::Traces;
use spool_telemetry::{lifeline, logging};
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// A local stand-in for Replicate (below /v1), its CDN (on a port of its own) and xAI (below /xai/v1).
/// It makes real media with FFmpeg, keeps a ledger of charges (GET /_sim/charges) and breaks on request
/// (POST /_sim/faults). Nothing leaves this machine and nothing costs money.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// Where the APIs listen; port 0 takes a free one.
    #[arg(long, env = "SPOOL_SIMULATOR_LISTEN", default_value = "127.0.0.1:8100")]
    listen: SocketAddr,
    /// Where the CDN listens; port 0 takes a free one.
    #[arg(long, env = "SPOOL_SIMULATOR_CDN_LISTEN", default_value = "127.0.0.1:8101")]
    cdn_listen: SocketAddr,
    /// Folder for predictions, ledger, files and outputs; a second start in it goes on where it was.
    #[arg(long, env = "SPOOL_SIMULATOR_DATA_DIR")]
    data_dir: PathBuf,
    /// Models run this many times faster than the real ones, and rate limits are as many times wider.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Serve cached clips made unique instead of encoding each one (for load tests).
    #[arg(long)]
    cheap_media: bool,
    /// Seed of pictures, melodies and fault chances.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Fetch inputs from, and send webhooks to, hosts other than this machine.
    #[arg(long)]
    allow_any_host: bool,
    /// Create requests per real minute [default: 600 times the speed].
    #[arg(long)]
    creates_per_minute: Option<u32>,
    /// Other requests per real minute [default: 3000 times the speed].
    #[arg(long)]
    reads_per_minute: Option<u32>,
    /// Print one line of JSON with both addresses when ready.
    #[arg(long)]
    announce: bool,
    /// Text on a terminal and JSON elsewhere (auto), or always one of them.
    #[arg(long, env = "SPOOL_LOG_FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let _lines = logging::init(cli.log_format, &Traces::off());
    let stop = lifeline::watch();
    rustls::crypto::ring::default_provider().install_default().ok();
    match run(cli, stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut message = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                message.push_str(": ");
                message.push_str(&cause.to_string());
                source = cause.source();
            }
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

async fn run(cli: Cli, stop: CancellationToken) -> Result<(), SimulatorError> {
    let announce = cli.announce;
    let simulator = Simulator::start(Config {
        listen: cli.listen,
        cdn_listen: cli.cdn_listen,
        data_dir: cli.data_dir,
        speed: cli.speed,
        cheap_media: cli.cheap_media,
        seed: cli.seed,
        allow_any_host: cli.allow_any_host,
        creates_per_minute: cli.creates_per_minute,
        reads_per_minute: cli.reads_per_minute,
    })
    .await?;
    tracing::info!(address = simulator.listening(), cdn_address = simulator.cdn(), "ready");
    if announce {
        println!("{}", serde_json::json!({"listening": simulator.listening(), "cdn": simulator.cdn()}));
    }
    stop.cancelled().await;
    simulator.stop().await;
    Ok(())
}
