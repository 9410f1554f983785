//! Everything a handler may touch, and no more. Cheap to clone: handles only.

use std::sync::Arc;

use secrecy::SecretString;
use spool_job::clock::Clock;
use spool_media::ffmpeg::Ffmpeg;
use spool_media::store::MediaStore;
use crate::database::Database;

use crate::download::Downloads;
use crate::links::Links;

#[derive(Clone)]
pub struct AppState(Arc<Parts>);

pub struct Parts {
    pub db: Database,
    pub store: MediaStore,
    pub ffmpeg: Ffmpeg,
    pub links: Links,
    pub downloads: Downloads,
    pub clock: Arc<dyn Clock>,
    /// Signs what the provider sends us; without one every webhook is refused.
    pub webhook_secret: Option<SecretString>,
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
