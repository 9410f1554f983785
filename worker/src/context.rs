//! Everything a step may touch, and no more.

use crate::config::StepSettings;
use crate::limits::Reads;
use crate::purchase::Pace;
use spool_job::clock::Clock;
use spool_media::ffmpeg::Ffmpeg;
use spool_media::link::LinkSigner;
use spool_media::store::MediaStore;
use spool_provider::client::Replicate;
use spool_provider::guard::FetchPolicy;
use spool_provider::hook_secret::HookSecrets;
use sqlx::{PgPool, Postgres, Transaction};
use std::sync::Arc;

/// Shared by all steps of a process.
pub(crate) struct Context {
    /// Our tables and the queue.
    pub(crate) pool: PgPool,
    /// Files by content.
    pub(crate) store: MediaStore,
    /// The only place that starts processes.
    pub(crate) ffmpeg: Ffmpeg,
    /// The same with places of its own, for outputs that vanish: they do not wait behind films that are being made.
    pub(crate) scan: Ffmpeg,
    /// The paid provider.
    pub(crate) replicate: Replicate,
    /// Which addresses outputs may be fetched from and webhooks sent to.
    pub(crate) fetch: FetchPolicy,
    /// Makes the links the provider reads our images by.
    pub(crate) signer: LinkSigner,
    /// Makes the secrets that sign webhooks.
    pub(crate) hook_secrets: HookSecrets,
    /// Tokens for calls of the provider that cost nothing.
    pub(crate) reads: Arc<Reads>,
    /// Says how often what is in flight is looked at.
    pub(crate) pace: Pace,
    /// The address that providers reach the API by, without a slash at the end.
    pub(crate) public_base_url: String,
    /// For the expiry of links.
    pub(crate) clock: Arc<dyn Clock>,
    /// What operators may change.
    pub(crate) settings: StepSettings,
}

impl Context {
    /// A connection to look things up with. In a transaction, because a pooler in transaction mode may give
    /// each statement outside of one to another server; dropping it ends it.
    pub(crate) async fn read(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        self.pool.begin().await
    }
}
