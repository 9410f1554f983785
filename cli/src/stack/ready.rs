//! What a running stack tells whoever started it.

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

/// Where everything is, once all of it is healthy.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    pub(crate) api: String,
    /// `None` with real providers.
    pub(crate) simulator: Option<String>,
    pub(crate) key: SecretString,
    pub(crate) database_url: SecretString,
    pub(crate) worker_pids: Vec<u32>,
    /// Where the metrics of each are, until it is started again.
    pub(crate) worker_metrics: Vec<String>,
}

impl Ready {
    /// The one line of `spool dev --json`. It holds the key and the password: it is for the program that asked.
    pub(crate) fn to_json(&self) -> String {
        json!({
            "ready": true,
            "api": self.api,
            "simulator": self.simulator,
            "key": self.key.expose_secret(),
            "database_url": self.database_url.expose_secret(),
            "worker_pids": self.worker_pids,
            "worker_metrics": self.worker_metrics,
        })
        .to_string()
    }
}
