//! The command line and the environment of `spool-worker`: `--help` is the manual.

use clap::{Args, Parser};
use secrecy::{ExposeSecret, SecretString};
use spool_db::pool::DatabaseArgs;
use spool_telemetry::logging::LogFormat;
use spool_telemetry::traces::TraceArgs;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;
use url::Url;

/// The worker: claims tasks, plans, renders, stitches and checks videos. Run as many as you like.
#[derive(Debug, Parser)]
#[command(name = "spool-worker", version)]
pub struct Config {
    #[command(flatten)]
    pub worker: WorkerArgs,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub media: MediaArgs,
    #[command(flatten)]
    pub links: LinkArgs,
    #[command(flatten)]
    pub provider: ProviderArgs,
    #[command(flatten)]
    pub traces: TraceArgs,
    /// How logs look: people-friendly text on a terminal, JSON lines elsewhere.
    #[arg(long, env = "SPOOL_LOG_FORMAT", default_value = "auto")]
    pub log_format: LogFormat,
}

/// This process as a worker.
#[derive(Debug, Args)]
pub struct WorkerArgs {
    /// Name shown to operators; host name and process id by default.
    #[arg(long, env = "SPOOL_WORKER_NAME")]
    pub name: Option<String>,
    /// Address of /metrics and /healthz; port 0 takes a free one; unset serves none.
    #[arg(long, env = "SPOOL_WORKER_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Seconds that running tasks get to finish after SIGTERM before they are handed back.
    #[arg(long, env = "SPOOL_WORKER_GRACE", default_value_t = 30)]
    pub grace_seconds: u64,
    /// Seconds without a heartbeat after which others may take this worker's tasks.
    #[arg(long, env = "SPOOL_LEASE_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..=600))]
    pub lease_seconds: u64,
    /// Predictions this process looks after at the same time.
    #[arg(long, env = "SPOOL_SLOTS_PREDICT", default_value = "256")]
    pub slots_predict: NonZeroUsize,
    /// Outputs it downloads at the same time.
    #[arg(long, env = "SPOOL_SLOTS_COLLECT", default_value = "8")]
    pub slots_collect: NonZeroUsize,
    /// FFmpeg steps it runs at the same time; the number of cores by default.
    #[arg(long, env = "SPOOL_SLOTS_FFMPEG")]
    pub slots_ffmpeg: Option<NonZeroUsize>,
    /// Webhooks to callers that it sends at the same time.
    #[arg(long, env = "SPOOL_SLOTS_HOOKS", default_value = "64")]
    pub slots_hooks: NonZeroUsize,
    /// Seconds that an endpoint of a caller has to answer a webhook.
    #[arg(long, env = "SPOOL_HOOK_TIMEOUT_SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub hook_timeout_seconds: u64,
    /// Print one line of JSON once tasks can be claimed.
    #[arg(long)]
    pub announce: bool,
}

/// Files.
#[derive(Debug, Args)]
pub struct MediaArgs {
    /// Where media lies: a folder, file:///path or s3://bucket/prefix. The same for all API and worker processes.
    #[arg(long, env = "SPOOL_MEDIA_URL")]
    pub media_url: String,
    /// Private networks that outputs may be fetched from and webhooks sent to, such as 127.0.0.1/32:8101. Empty: none.
    #[arg(long, env = "SPOOL_FETCH_ALLOW", default_value = "")]
    pub fetch_allow: String,
}

/// Links that the provider follows.
#[derive(Debug, Args)]
pub struct LinkArgs {
    /// The address that providers reach the API by, such as https://spool.example.com.
    #[arg(long, env = "PUBLIC_BASE_URL")]
    pub public_base_url: Url,
    /// Signs media links, and makes the secrets that sign webhooks: 32 characters or more, the same for all API and worker processes.
    #[arg(long, env = "SPOOL_SIGNING_KEY", hide_env_values = true)]
    pub signing_key: SecretString,
}

/// The paid provider.
#[derive(Debug, Args)]
pub struct ProviderArgs {
    /// Token of the Replicate account.
    #[arg(long, env = "REPLICATE_API_TOKEN", hide_env_values = true)]
    pub replicate_api_token: SecretString,
    /// Replicate's API.
    #[arg(long, env = "REPLICATE_BASE_URL", default_value = "https://api.replicate.com/v1")]
    pub replicate_base_url: Url,
    /// Paid calls a minute, of all workers together. An operator's word (`spool limits`) goes before this and the next three.
    #[arg(long, env = "REPLICATE_CREATES_PER_MINUTE", default_value = "600")]
    pub creates_per_minute: NonZeroU32,
    /// Reads, lists and cancels a minute, of all workers together.
    #[arg(long, env = "REPLICATE_READS_PER_MINUTE", default_value = "3000")]
    pub reads_per_minute: NonZeroU32,
    /// Predictions in flight at the same time, of all workers together.
    #[arg(long, env = "REPLICATE_MAX_CONCURRENCY", default_value = "2000")]
    pub max_concurrency: NonZeroU32,
    /// Milliseconds between two paid calls, of all workers together, at least.
    #[arg(long, env = "REPLICATE_START_DELAY_MS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=600_000))]
    pub start_delay_ms: u32,
    /// Seconds after a lost answer until a prediction that no list shows counts as not created.
    #[arg(long, env = "SPOOL_SUBMIT_SETTLE_SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=1800))]
    pub submit_settle_seconds: u64,
    /// Seconds between two looks for predictions at the provider that no row knows. Inputs can be seen for an hour.
    #[arg(long, env = "SPOOL_ORPHAN_SWEEP_SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=1800))]
    pub orphan_sweep_seconds: u64,
}

/// A provider may show a prediction in its lists only after a while. Shorter settling buys twice.
const SHORTEST_SETTLE: u64 = 30;

/// What operators may change about the steps.
#[derive(Debug, Clone)]
pub struct StepSettings {
    /// After a lost answer, how long until a prediction that no list shows counts as not created.
    pub submit_settle: Duration,
    /// How long an endpoint of a caller has to answer.
    pub hook_timeout: Duration,
}

/// A value that parses but cannot be.
#[derive(Debug, thiserror::Error)]
#[error("{variable} {problem}")]
pub struct ConfigError {
    variable: &'static str,
    problem: &'static str,
}

impl Config {
    /// What clap cannot check.
    pub fn check(&self) -> Result<(), ConfigError> {
        let refuse = |variable, problem| Err(ConfigError { variable, problem });
        if self.links.signing_key.expose_secret().len() < 32 {
            return refuse("SPOOL_SIGNING_KEY", "must have at least 32 characters");
        }
        if !matches!(self.links.public_base_url.scheme(), "http" | "https") {
            return refuse("PUBLIC_BASE_URL", "must start with http:// or https://");
        }
        if self.provider.replicate_api_token.expose_secret().trim().is_empty() {
            return refuse("REPLICATE_API_TOKEN", "must not be empty");
        }
        let settle = self.provider.submit_settle_seconds;
        if settle < SHORTEST_SETTLE + self.worker.lease_seconds
            && !is_local(&self.provider.replicate_base_url)
        {
            return refuse(
                "SPOOL_SUBMIT_SETTLE_SECONDS",
                "is too short: a prediction could be bought twice. Give at least 30 s more than SPOOL_LEASE_SECONDS; less is only for \
                 a simulator on this machine",
            );
        }
        Ok(())
    }
}

/// A simulator on this machine, where nothing costs money.
fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
