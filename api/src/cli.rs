//! The command line and the environment of `spool-api`: `--help` is the manual.

use std::ffi::OsString;
use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use secrecy::SecretString;
use spool_db::pool::DatabaseArgs;
use spool_job::spec::OnMusicFailure;
use spool_provider::guard::FetchPolicy;
use spool_telemetry::aliases::{self, Applied};
use spool_telemetry::logging::LogFormat;
use spool_telemetry::traces::TraceArgs;
use url::Url;

use crate::cors::CorsOrigins;
use crate::older_settings::ALIASES;

/// The HTTP API: takes requests, writes them down, answers. It renders nothing itself.
#[derive(Debug, Parser)]
#[command(name = "spool-api", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API; what `spool-api` does when no command is given. (`spool-api openapi` prints the OpenAPI document.)
    Serve(Box<ServeArgs>),
    /// Print the OpenAPI document and end.
    Openapi,
}

impl Cli {
    /// Parses the command line; options without a command mean `serve`.
    pub fn parse_words(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        Self::parse_with(words, |_| None).map(|(cli, _)| cli)
    }

    /// The same, with what variables of older systems say; and a sentence about each of those that are set.
    pub fn parse_with(
        words: impl IntoIterator<Item = OsString>,
        read: impl Fn(&str) -> Option<String>,
    ) -> Result<(Self, Vec<String>), clap::Error> {
        let mut words: Vec<OsString> = words.into_iter().collect();
        let serve_is_meant = match words.get(1).and_then(|word| word.to_str()) {
            None => true,
            Some("--version" | "-V") => false,
            Some(word) => word.starts_with('-'),
        };
        if serve_is_meant {
            words.insert(1, "serve".into());
        }
        let serves = words.get(1).is_some_and(|word| word == "serve");
        let applied = if serves {
            aliases::apply(words, &[aliases::SHARED, ALIASES], read)
        } else {
            Applied { words, notes: Vec::new() }
        };
        Ok((Self::try_parse_from(applied.words)?, applied.notes))
    }
}

/// What serving needs.
#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub listen: ListenArgs,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub media: MediaArgs,
    #[command(flatten)]
    pub provider: ProviderArgs,
    #[command(flatten)]
    pub jobs: JobArgs,
    #[command(flatten)]
    pub callers: CallerArgs,
    #[command(flatten)]
    pub traces: TraceArgs,
    /// Text on a terminal and JSON elsewhere (auto), or always one of them.
    #[arg(long, env = "SPOOL_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// What jobs are made with when their request does not say.
#[derive(Debug, Args)]
pub struct JobArgs {
    /// Model of the clips, by name or alias.
    #[arg(long, env = "VIDEO_GENERATION_MODEL", default_value = "google/veo-3.1-fast")]
    pub video_generation_model: String,
    /// What failed music does to a video.
    #[arg(long, env = "AUDIO_ERROR_STRATEGY", value_enum, default_value = "continue_with_silence")]
    pub audio_error_strategy: AudioErrorStrategy,
    /// Whether videos get music.
    #[arg(long, env = "AUTO_GENERATE_AUDIO", default_value_t = true, action = clap::ArgAction::Set)]
    pub auto_generate_audio: bool,
}

/// Who calls, from where and how often.
#[derive(Debug, Args)]
pub struct CallerArgs {
    /// Web pages that may call from a browser: origins between commas, such as https://app.example.com, or * for all. Empty:
    /// none but those served from here.
    #[arg(long, env = "SPOOL_CORS_ORIGINS", default_value = "")]
    pub cors_origins: CorsOrigins,
    /// Requests a minute that this process takes of one key, where the key has no rate of its own; 0 for no limit.
    #[arg(long, env = "SPOOL_KEY_REQUESTS_PER_MINUTE", default_value_t = 0)]
    pub key_requests_per_minute: u32,
    /// Keys of an older system between commas, of 16 characters or more: they are taken over with the scope write.
    #[arg(long, env = "API_AUTH_KEY", hide_env_values = true)]
    pub api_auth_key: Option<SecretString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum AudioErrorStrategy {
    ContinueWithSilence,
    Halt,
}

impl From<AudioErrorStrategy> for OnMusicFailure {
    fn from(strategy: AudioErrorStrategy) -> Self {
        match strategy {
            AudioErrorStrategy::ContinueWithSilence => Self::ContinueWithSilence,
            AudioErrorStrategy::Halt => Self::Halt,
        }
    }
}

#[derive(Debug, Args)]
pub struct ListenArgs {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long = "listen", env = "SPOOL_API_LISTEN", default_value = "127.0.0.1:8080")]
    pub address: SocketAddr,
    /// The address that callers and providers reach us by, such as https://spool.example.com. Signed links and
    /// webhook URLs start with it.
    #[arg(long, env = "PUBLIC_BASE_URL")]
    pub public_base_url: Url,
    /// Signs media links, and makes the secrets that sign webhooks: 32 characters or more, the same for all API and worker processes.
    #[arg(long, env = "SPOOL_SIGNING_KEY", hide_env_values = true)]
    pub signing_key: SecretString,
    /// Print one line of JSON with the address once requests are taken.
    #[arg(long)]
    pub announce: bool,
}

#[derive(Debug, Args)]
pub struct MediaArgs {
    /// Where media lies: a folder, file:///path or s3://bucket/prefix.
    #[arg(long, env = "SPOOL_MEDIA_URL")]
    pub media_url: String,
    /// Networks that `source_url` downloads and webhooks may reach although they are private, such as 127.0.0.1/32:8101,10.0.0.0/8.
    /// Empty: none.
    #[arg(long, env = "SPOOL_FETCH_ALLOW", default_value = "")]
    pub fetch_allow: FetchPolicy,
}

#[derive(Debug, Args)]
pub struct ProviderArgs {
    /// Token of the Replicate account; only to ask for the webhook secret.
    #[arg(long, env = "REPLICATE_API_TOKEN", hide_env_values = true)]
    pub replicate_api_token: Option<SecretString>,
    /// Replicate's API.
    #[arg(long, env = "REPLICATE_BASE_URL", default_value = "https://api.replicate.com/v1")]
    pub replicate_base_url: Url,
    /// Secret of Replicate's webhooks (whsec_…). Without it the account is asked; without a token as well, every
    /// webhook is refused and polling does the work.
    #[arg(long, env = "REPLICATE_WEBHOOK_SECRET", hide_env_values = true)]
    pub replicate_webhook_secret: Option<SecretString>,
}

/// A value that parses but cannot be.
#[derive(Debug, thiserror::Error)]
#[error("{variable} {problem}")]
pub struct ConfigError {
    pub variable: &'static str,
    pub problem: String,
}

impl ServeArgs {
    /// What clap cannot check.
    pub fn check(&self) -> Result<(), ConfigError> {
        use secrecy::ExposeSecret;
        let refuse = |variable, problem: &str| Err(ConfigError { variable, problem: problem.to_owned() });
        if self.listen.signing_key.expose_secret().len() < 32 {
            return refuse("SPOOL_SIGNING_KEY", "must have at least 32 characters");
        }
        if !matches!(self.listen.public_base_url.scheme(), "http" | "https") {
            return refuse("PUBLIC_BASE_URL", "must start with http:// or https://");
        }
        if self.listen.public_base_url.query().is_some() || self.listen.public_base_url.fragment().is_some() {
            return refuse("PUBLIC_BASE_URL", "must have no query and no fragment");
        }
        if self.media.media_url.trim().is_empty() {
            return refuse("SPOOL_MEDIA_URL", "must name a folder or an s3:// URL");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use spool_telemetry::refusal;

    fn refused(words: &[&str]) -> String {
        let all = ["spool-api", "serve", "--public-base-url", "https://x.example", "--signing-key", "k"];
        let words = all.iter().chain(words).map(Into::into);
        refusal::sentence(&Cli::parse_words(words).expect_err("is refused"), &Cli::command())
            .expect("a sentence")
    }

    #[test]
    fn sentences_name_the_variable() {
        // Only where the environment of the test has none of them.
        if std::env::var_os("SPOOL_MEDIA_URL").is_none() {
            let missing = refused(&["--database-url", "postgres://x/y"]);
            assert!(missing.starts_with("SPOOL_MEDIA_URL is not set"), "{missing}");
        }
        let rest = ["--database-url", "postgres://x/y", "--media-url", "m"];
        for (flag, value, variable) in [
            ("--db-pool", "0", "SPOOL_DB_POOL"),
            ("--listen", "x", "SPOOL_API_LISTEN"),
            ("--fetch-allow", "x", "SPOOL_FETCH_ALLOW"),
            ("--audio-error-strategy", "x", "AUDIO_ERROR_STRATEGY"),
            ("--cors-origins", "x", "SPOOL_CORS_ORIGINS"),
        ] {
            let said = refused(&[&rest[..], &[flag, value]].concat());
            assert!(said.starts_with(variable) && said.contains(value), "{said}");
            assert!(!said.contains('\n'), "{said}");
        }
    }
}
