//! What the older systems' API was told by its environment: the names of its settings, and its keys.

use secrecy::ExposeSecret;
use secrecy::SecretString;
use spool_db::keys::{self, KeyToken};
use spool_telemetry::aliases::{Alias, sets};

use crate::cli::ConfigError;
use crate::database::{Database, commit};
use crate::error::ApiError;

/// Beside those that workers read, too.
pub const ALIASES: &[Alias] = &[
    sets("PORT", "listen", "SPOOL_API_LISTEN", all_addresses),
    sets("AUDIO_FAIL_ON_ERROR", "audio-error-strategy", "AUDIO_ERROR_STRATEGY", halt),
];

/// The platforms that set PORT route to any address of the machine.
fn all_addresses(port: &str) -> Option<String> {
    port.trim().parse().ok().map(|port: u16| format!("0.0.0.0:{port}"))
}

fn halt(fail: &str) -> Option<String> {
    matches!(fail, "true" | "1").then(|| "halt".to_owned())
}

/// The keys of `API_AUTH_KEY`: texts between commas.
pub fn keys(list: &SecretString) -> Result<Vec<KeyToken>, ConfigError> {
    let words = list.expose_secret().split(',').map(str::trim).filter(|word| !word.is_empty());
    let key = |word: &str| {
        KeyToken::of_older_system(word).ok_or_else(|| ConfigError {
            variable: "API_AUTH_KEY",
            problem: "holds a key that is not of 16 to 256 visible characters, or is one of ours already"
                .to_owned(),
        })
    };
    words.map(key).collect()
}

/// Takes the keys over, with the scope `write`. One that was revoked here stays revoked.
pub async fn adopt(db: &Database, tokens: &[KeyToken]) -> Result<(), ApiError> {
    if tokens.is_empty() {
        return Ok(());
    }
    let mut transaction = db.begin().await?;
    for token in tokens {
        if keys::adopt(&mut transaction, token, "API_AUTH_KEY").await? {
            tracing::info!(key_id = token.id(), "a key of API_AUTH_KEY was taken over");
        }
    }
    commit(transaction).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_a_list_and_weak_ones_refused() {
        let list = |text: &str| keys(&SecretString::from(text)).map(|keys| keys.len());
        assert_eq!(list("").ok(), Some(0));
        assert_eq!(list("0123456789abcdef, another-key-of-old-days,").ok(), Some(2));
        let error = list("0123456789abcdef,short").expect_err("is weak").to_string();
        assert!(error.contains("API_AUTH_KEY") && !error.contains("short"), "{error}");
    }

    #[test]
    fn values_are_turned() {
        assert_eq!(all_addresses("8080").as_deref(), Some("0.0.0.0:8080"));
        assert_eq!(all_addresses("tcp://10.0.0.1:80"), None, "what container links set");
        assert_eq!(halt("true").as_deref(), Some("halt"));
        assert_eq!(halt("false"), None);
    }
}
