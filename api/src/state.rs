//! Everything a handler may touch, and no more. Cheap to clone: handles only.

use std::sync::Arc;

use spool_job::clock::Clock;
use spool_media::ffmpeg::Ffmpeg;
use spool_media::store::MediaStore;
use spool_provider::guard::FetchPolicy;
use spool_provider::hook_secret::HookSecrets;

use crate::cors::CorsOrigins;
use crate::database::Database;
use crate::defaults::JobDefaults;
use crate::feed::Feed;
use crate::group_commit::GroupCommit;
use crate::key_cache::KeyCache;
use crate::key_rates::KeyRates;
use crate::links::Links;
use crate::material_reads::MaterialReads;
use crate::recent::Recent;
use crate::webhook_secret::WebhookSecret;

#[derive(Clone)]
pub struct AppState(Arc<Parts>);

pub struct Parts {
    pub db: Database,
    pub store: MediaStore,
    pub ffmpeg: Ffmpeg,
    pub links: Links,
    /// Makes the secrets of callers' webhook endpoints.
    pub hook_secrets: HookSecrets,
    /// What `source_url` downloads and webhooks may reach.
    pub fetch_policy: FetchPolicy,
    pub defaults: JobDefaults,
    pub clock: Arc<dyn Clock>,
    /// Without one every webhook is refused.
    pub webhook_secret: WebhookSecret,
    /// What is known of jobs without asking.
    pub feed: Feed,
    /// What is only shown, and may be a moment old.
    pub recent: Recent,
    /// Writes the jobs that are created.
    pub group_commit: GroupCommit,
    /// Reads what their storyboards are made from.
    pub material_reads: MaterialReads,
    pub key_rates: KeyRates,
    pub key_cache: KeyCache,
    /// Web pages that may call.
    pub cors: CorsOrigins,
}

impl AppState {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl std::ops::Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
