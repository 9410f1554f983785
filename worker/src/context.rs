//! Everything a step may touch, and no more.

use crate::config::StepSettings;
use crate::limits::Limits;
use spool_job::clock::Clock;
use spool_media::ffmpeg::Ffmpeg;
use spool_media::link::LinkSigner;
use spool_media::store::MediaStore;
use spool_provider::client::Replicate;
use spool_provider::guard::FetchPolicy;
use sqlx::PgPool;
use std::sync::Arc;

/// Shared by all steps of a process.
pub struct Context {
    /// Our tables and the queue.
    pub pool: PgPool,
    /// Files by content.
    pub store: MediaStore,
    /// The only place that starts processes.
    pub ffmpeg: Ffmpeg,
    /// The paid provider.
    pub replicate: Replicate,
    /// Which addresses outputs may be fetched from.
    pub fetch: FetchPolicy,
    /// Makes the links the provider reads our images by.
    pub signer: LinkSigner,
    /// Stands before every paid call.
    pub limits: Limits,
    /// The address that providers reach the API by, without a slash at the end.
    pub public_base_url: String,
    /// For the expiry of links.
    pub clock: Arc<dyn Clock>,
    /// What operators may change.
    pub settings: StepSettings,
}
