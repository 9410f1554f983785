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
    use std::path::Path;

    use clap::CommandFactory;
    use spool_telemetry::aliases::{self, SHARED};

    use super::*;
    use crate::cli::Cli;

    /// Every variable that the older system read or named in its documentation.
    const OLDER: [&str; 26] = [
        "API_AUTH_KEY",
        "REPLICATE_API_KEY",
        "REPLICATE_API_TOKEN",
        "XAI_API_KEY",
        "PUBLIC_BASE_URL",
        "REPLICATE_WEBHOOK_URL",
        "VIDEO_GENERATION_MODEL",
        "REPLICATE_VEO3_MODEL",
        "REPLICATE_HILUA_MODEL",
        "REPLICATE_HAILUO_MODEL",
        "REPLICATE_MAX_CONCURRENCY",
        "REPLICATE_START_DELAY_MS",
        "AUTO_GENERATE_AUDIO",
        "AUDIO_MERGE_WITH_VIDEO",
        "AUDIO_FAIL_ON_ERROR",
        "AUDIO_SYNC_MODE",
        "AUDIO_ERROR_STRATEGY",
        "AUDIO_SEGMENT_TTL",
        "DATABASE_PATH",
        "POOL_SIZE",
        "SECRET_KEY_BASE",
        "PHX_HOST",
        "PORT",
        "PHX_SERVER",
        "DNS_CLUSTER_QUERY",
        "RELEASE_NAME",
    ];

    /// Each is read under its own name, here or by the worker, or is an alias that is named at start.
    #[test]
    fn every_older_variable_is_read_or_named() {
        let command = Cli::command();
        let serve = command.find_subcommand("serve").expect("the API serves");
        let here: Vec<_> = serve.get_arguments().filter_map(clap::Arg::get_env).collect();
        let worker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../worker/src/config.rs");
        let worker = std::fs::read_to_string(worker).expect("the worker's settings");
        for name in OLDER {
            let words = vec!["spool-api".into(), "serve".into()];
            let set = |asked: &str| (asked == name).then(|| "8080".to_owned());
            let notes = aliases::apply(words, &[SHARED, ALIASES], set).notes;
            let is_read =
                here.iter().any(|read| *read == name) || worker.contains(&format!("env = \"{name}\""));
            assert_ne!(is_read, notes.iter().any(|note| note.starts_with(name)), "{name}: {notes:?}");
        }
    }

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
