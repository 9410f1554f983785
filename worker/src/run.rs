//! From configuration to a running worker and back.

use crate::config::{Config, StepSettings};
use crate::context::Context;
use crate::limits::{self, Further, Reads};
use crate::purchase::Pace;
use crate::{health, hooks, log_level, meter, offers, steps, sweeps};
use secrecy::ExposeSecret;
use serde_json::json;
use spool_db::limits::Settings;
use spool_db::pool::connect;
use spool_job::clock::{Clock, SystemClock};
use spool_job::tasks::TaskKind;
use spool_media::ffmpeg::Ffmpeg;
use spool_media::link::LinkSigner;
use spool_media::store::MediaStore;
use spool_provider::client::{Replicate, ReplicateConfig};
use spool_provider::hook_secret::HookSecrets;
use spool_queue::WorkerBuilder;
use spool_telemetry::metrics::Metrics;
use spool_telemetry::{programs, redact};
use std::error::Error;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The one provider so far.
const PROVIDER: &str = "replicate";
/// Slots for steps that only touch the database.
const LIGHT_SLOTS: usize = 64;

/// Outputs that are checked at the same time; each takes a tenth of a second of one core.
const SCAN_SLOTS: usize = 2;
/// Between two sweeps of the log of webhooks.
const HOOK_LOG_EVERY: Duration = Duration::from_secs(1800);
/// Two may be lost before the lease is.
const HEARTBEATS_PER_LEASE: f64 = 3.3;
/// No step lives this long, so what is older belongs to nobody.
const LEFTOVER_AGE: chrono::TimeDelta = chrono::TimeDelta::hours(6);

/// Works until `stop`, then drains.
pub async fn run(
    config: Config,
    metrics: Metrics,
    stop: CancellationToken,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let cores = std::thread::available_parallelism()?;
    let ffmpeg_slots = config.worker.slots_ffmpeg.unwrap_or(cores).get();
    meter::begin();
    for secret in
        [&config.links.signing_key, &config.provider.replicate_api_token, &config.database.database_url]
    {
        redact::keep_out(secret.expose_secret());
    }
    let pool = connect(&config.database, "spool-worker").await?;
    let store = MediaStore::open(&config.media.media_url)?;
    let clock = SystemClock;
    let swept = store.scratch().sweep(clock.now() - LEFTOVER_AGE).await?;
    if swept > 0 {
        tracing::info!(count = swept, "removed what killed processes left behind");
    }
    let reads = Arc::new(Reads::new(PROVIDER, config.provider.reads_per_minute));
    let further = Further { reads: Arc::clone(&reads), pool: pool.clone() };
    let ctx = Arc::new(Context {
        pool: pool.clone(),
        store,
        ffmpeg: Ffmpeg::discover(ffmpeg_slots)?.watched(programs::ffmpeg_ran),
        scan: Ffmpeg::discover(SCAN_SLOTS)?.watched(programs::ffmpeg_ran),
        replicate: Replicate::new(ReplicateConfig {
            base_url: config.provider.replicate_base_url.clone(),
            token: config.provider.replicate_api_token.clone(),
        })?
        .asking(Arc::new(further)),
        fetch: config.media.fetch_allow.parse()?,
        signer: LinkSigner::new(&config.links.signing_key)?,
        hook_secrets: HookSecrets::new(&config.links.signing_key)?,
        reads,
        pace: Pace::new(config.provider.reads_per_minute),
        public_base_url: config.links.public_base_url.as_str().trim_end_matches('/').to_owned(),
        clock: Arc::new(clock),
        settings: StepSettings {
            submit_settle: Duration::from_secs(config.provider.submit_settle_seconds),
            hook_timeout: Duration::from_secs(config.worker.hook_timeout_seconds),
        },
    });

    let mut tx = pool.begin().await?;
    spool_db::limits::announce(&mut tx, PROVIDER, limits_of(&config)).await?;
    hooks::limit(&mut tx).await?;
    tx.commit().await?;
    limits::start(pool.clone(), stop.clone());
    offers::start(pool.clone(), stop.clone());

    let sweep_every = Duration::from_secs(config.provider.orphan_sweep_seconds);
    sweeps::keep(pool.clone(), TaskKind::Orphans, sweep_every, stop.clone());
    sweeps::keep(pool.clone(), TaskKind::HookLog, HOOK_LOG_EVERY, stop.clone());
    programs::watch_disks(ctx.store.places(), stop.clone());
    log_level::follow(pool.clone(), stop.clone());
    let listening = match config.worker.listen {
        Some(address) => Some(health::serve(address, metrics, pool.clone(), stop.clone()).await?),
        None => None,
    };
    let name = config.worker.name.clone().unwrap_or_else(default_name);
    let lease = Duration::from_secs(config.worker.lease_seconds);
    let worker = WorkerBuilder::new(&name, pool)
        .lease(lease)
        .heartbeat(lease.mul_f64(HEARTBEATS_PER_LEASE.recip()))
        .pgbouncer(config.database.pgbouncer)
        .slots(TaskKind::Render.queue(), config.worker.slots_predict.get())
        .slots(TaskKind::Collect.queue(), config.worker.slots_collect.get())
        .slots(TaskKind::Stitch.queue(), ffmpeg_slots)
        .slots(TaskKind::Deliver.queue(), config.worker.slots_hooks.get())
        .slots(TaskKind::Close.queue(), LIGHT_SLOTS);
    let grace = Duration::from_secs(config.worker.grace_seconds);
    let worker = steps::register(worker, &ctx).start(stop, grace).await?;
    tracing::info!(worker_id = worker.id().0, worker = name, "working");
    if config.worker.announce {
        let metrics = listening.map(|address| format!("http://{address}"));
        announce(&json!({"worker_id": worker.id(), "name": name, "metrics": metrics}));
    }
    worker.finished().await;
    tracing::info!("drained");
    Ok(())
}

/// What the settings say of the account that all workers share.
fn limits_of(config: &Config) -> Settings {
    let whole = |number: NonZeroU32| i32::try_from(number.get()).unwrap_or(i32::MAX);
    Settings {
        creates_per_minute: whole(config.provider.creates_per_minute),
        others_per_minute: whole(config.provider.reads_per_minute),
        max_in_flight: whole(config.provider.max_concurrency),
        gap_ms: i32::try_from(config.provider.start_delay_ms).unwrap_or(i32::MAX),
    }
}

#[expect(clippy::print_stdout, reason = "the announcement is what standard output is for")]
fn announce(line: &serde_json::Value) {
    println!("{line}");
}

fn default_name() -> String {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    format!("{}-{}", host.as_deref().unwrap_or("worker"), std::process::id())
}
