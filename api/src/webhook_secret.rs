//! The secret that provider webhooks are signed with: given, or asked of the account and kept.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use spool_provider::client::Replicate;
use spool_telemetry::redact;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The account is not asked more often than this, whatever arrives; polling does the work meanwhile.
const PAUSE: Duration = Duration::from_secs(30);

pub struct WebhookSecret {
    account: Option<Replicate>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    secret: Option<SecretString>,
    asked_at: Option<Instant>,
}

impl WebhookSecret {
    /// `given` stands for good; without it the account is asked at the first webhook. With neither, none verifies.
    pub fn new(given: Option<SecretString>, account: Option<Replicate>) -> Self {
        let account = account.filter(|_| given.is_none());
        Self { account, known: Mutex::new(Known { secret: given, asked_at: None }) }
    }

    pub async fn current(&self) -> Option<SecretString> {
        // Held across the question on purpose: a burst of webhooks asks once.
        let mut known = self.known.lock().await;
        if known.secret.is_none() {
            self.ask(&mut known).await;
        }
        known.secret.clone()
    }

    /// After a signature that did not match: the account's secret, when it has changed meanwhile.
    pub async fn renewed(&self, stale: &SecretString) -> Option<SecretString> {
        let mut known = self.known.lock().await;
        self.ask(&mut known).await;
        known.secret.clone().filter(|secret| secret.expose_secret() != stale.expose_secret())
    }

    async fn ask(&self, known: &mut Known) {
        let Some(account) = &self.account else { return };
        if known.asked_at.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        known.asked_at = Some(Instant::now());
        match account.webhook_secret().await {
            Ok(secret) => {
                redact::keep_out(secret.expose_secret());
                known.secret = Some(secret);
            }
            Err(error) => tracing::warn!(%error, "the account does not give its webhook secret"),
        }
    }
}
