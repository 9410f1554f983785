//! From parsed settings to a listening server, and from a request to stop to an orderly end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use secrecy::{ExposeSecret, SecretString};
use spool_db::pool;
use spool_job::catalog;
use spool_job::clock::SystemClock;
use spool_job::prediction::Purpose;
use spool_media::ffmpeg::Ffmpeg;
use spool_media::link::LinkSigner;
use spool_media::store::MediaStore;
use spool_provider::client::{Replicate, ReplicateConfig};
use spool_provider::hook_secret::HookSecrets;
use spool_telemetry::metrics::Metrics;
use spool_telemetry::{programs, redact};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::cli::{ConfigError, ServeArgs};
use crate::database::Database;
use crate::defaults::JobDefaults;
use crate::feed::{self, Feed};
use crate::group_commit::GroupCommit;
use crate::key_cache::{self, KeyCache};
use crate::key_rates::KeyRates;
use crate::links::Links;
use crate::material_reads::MaterialReads;
use crate::metrics::OpenStream;
use crate::older_settings;
use crate::recent::{self, Recent};
use crate::router::app;
use crate::state::{AppState, Parts};
use crate::webhook_secret::WebhookSecret;
use crate::{idempotency_sweep, invariant_watch, log_level};

/// Uploads are decoded and thumbnails made by at most this many FFmpegs: rendering is the workers' business.
const FFMPEG_PARALLEL: usize = 2;
/// After a request to stop, answers in progress have this long to end.
const DRAIN: Duration = Duration::from_secs(20);

/// Why the server did not start or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("could not open the database of DATABASE_URL")]
    Database(#[source] spool_db::error::DbError),
    #[error("could not take over the keys of API_AUTH_KEY: {0}")]
    OlderKeys(String),
    #[error(transparent)]
    Ffmpeg(#[from] spool_media::ffmpeg::FfmpegError),
    #[error("could not write the OpenAPI document")]
    Document(#[source] serde_json::Error),
    #[error("could not listen on {address} (SPOOL_API_LISTEN)")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("the server ended")]
    Serve(#[source] std::io::Error),
}

/// A server that listens but takes no requests yet.
pub struct Server {
    listener: TcpListener,
    app: Router,
    address: SocketAddr,
    state: AppState,
}

impl Server {
    pub async fn bind(args: &ServeArgs, metrics: Metrics) -> Result<Self, ServerError> {
        args.check()?;
        keep_out(args);
        let older =
            args.callers.api_auth_key.as_ref().map(older_settings::keys).transpose()?.unwrap_or_default();
        let state = state(args).await?;
        let db = state.db.clone();
        older_settings::adopt(&db, &older)
            .await
            .map_err(|error| ServerError::OlderKeys(error.detail().to_owned()))?;
        let app = app(state.clone(), metrics).map_err(ServerError::Document)?;
        let wanted = args.listen.address;
        let listening = async {
            let listener = TcpListener::bind(wanted).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) =
            listening.await.map_err(|source| ServerError::Listen { address: wanted, source })?;
        Ok(Self { listener, app, address, state })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, then lets answers in progress end, but not for ever.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ServerError> {
        OpenStream::show();
        programs::watch_disks(self.state.store.places(), stop.clone());
        tokio::spawn(invariant_watch::keep(self.state.db.pool().clone(), stop.clone()));
        tokio::spawn(idempotency_sweep::keep(self.state.db.clone(), stop.clone()));
        tokio::spawn(log_level::follow(self.state.db.clone(), stop.clone()));
        tokio::spawn(feed::listen::keep(self.state, stop.clone()));
        // Answers are small and written at once: waiting for more to send only adds latency.
        let listener = self.listener.tap_io(|stream| {
            stream.set_nodelay(true).ok();
        });
        let graceful = axum::serve(listener, self.app).with_graceful_shutdown(stop.clone().cancelled_owned());
        let cut_off = async {
            stop.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            ended = graceful => ended.map_err(ServerError::Serve),
            () = cut_off => {
                tracing::warn!(seconds = DRAIN.as_secs(), "answers still in progress are cut off");
                Ok(())
            }
        }
    }
}

/// Whatever goes wrong, no line tells these.
fn keep_out(args: &ServeArgs) {
    let must = [&args.listen.signing_key, &args.database.database_url];
    let may = [
        &args.provider.replicate_api_token,
        &args.provider.replicate_webhook_secret,
        &args.callers.api_auth_key,
    ];
    for secret in must.into_iter().chain(may.into_iter().flatten()) {
        redact::keep_out(secret.expose_secret());
    }
}

async fn state(args: &ServeArgs) -> Result<AppState, ServerError> {
    let pool = pool::connect(&args.database, "spool-api").await.map_err(ServerError::Database)?;
    let model = catalog::find(&args.jobs.video_generation_model, Purpose::Render)
        .map_err(|error| ConfigError { variable: "VIDEO_GENERATION_MODEL", problem: error.to_string() })?;
    let account = match given(args.provider.replicate_api_token.as_ref()) {
        None => None,
        Some(token) => {
            let base_url = args.provider.replicate_base_url.clone();
            Some(Replicate::new(ReplicateConfig { base_url, token: token.clone() }).map_err(|error| {
                ConfigError { variable: "REPLICATE_API_TOKEN", problem: error.to_string() }
            })?)
        }
    };
    let signer = LinkSigner::new(&args.listen.signing_key).map_err(|error| ConfigError {
        variable: "SPOOL_SIGNING_KEY",
        problem: format!("is not usable: {error}"),
    })?;
    let hook_secrets = HookSecrets::new(&args.listen.signing_key).map_err(|error| ConfigError {
        variable: "SPOOL_SIGNING_KEY",
        problem: format!("is not usable: {error}"),
    })?;
    let db = Database::new(pool.clone(), args.database.pgbouncer);
    Ok(AppState::new(Parts {
        group_commit: GroupCommit::new(&db),
        material_reads: MaterialReads::new(&db),
        db,
        store: MediaStore::open(&args.media.media_url).map_err(|error| ConfigError {
            variable: "SPOOL_MEDIA_URL",
            problem: format!("is not usable: {error}"),
        })?,
        ffmpeg: Ffmpeg::discover(FFMPEG_PARALLEL)?.watched(programs::ffmpeg_ran),
        links: Links::new(args.listen.public_base_url.clone(), signer),
        hook_secrets,
        fetch_policy: args.media.fetch_allow.clone(),
        defaults: JobDefaults {
            video_model: model.slug.clone(),
            on_music_failure: args.jobs.audio_error_strategy.into(),
            music: args.jobs.auto_generate_audio,
        },
        clock: Arc::new(SystemClock),
        webhook_secret: WebhookSecret::new(
            given(args.provider.replicate_webhook_secret.as_ref()).cloned(),
            account,
        ),
        feed: Feed::new(feed::LIFE),
        recent: Recent::new(recent::LIFE),
        key_rates: KeyRates::new(args.callers.key_requests_per_minute),
        key_cache: KeyCache::new(key_cache::LIFE),
        cors: args.callers.cors_origins.clone(),
    }))
}

/// A variable that is set to nothing is not set.
fn given(secret: Option<&SecretString>) -> Option<&SecretString> {
    secret.filter(|secret| !secret.expose_secret().is_empty())
}
