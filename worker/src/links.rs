//! The links we hand to a provider: both carry our prediction's id, by which a lost one is found.

use crate::context::Context;
use chrono::{DateTime, Utc};
use uuid::Uuid;

impl Context {
    /// A signed link to one medium of a prediction's input.
    pub(crate) fn media_link(&self, prediction: Uuid, name: &str, expires: DateTime<Utc>) -> String {
        let path = format!("/api/v3/media/{prediction}/{name}");
        format!("{}{path}?{}", self.public_base_url, self.signer.sign(&path, expires))
    }

    /// Where the provider reports what became of it.
    pub(crate) fn webhook_link(&self, prediction: Uuid) -> String {
        format!("{}{prediction}", self.webhook_base())
    }

    /// What all those addresses begin with.
    pub(crate) fn webhook_base(&self) -> String {
        format!("{}/api/webhooks/replicate?prediction=", self.public_base_url)
    }
}
