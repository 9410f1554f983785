//! Logs go to standard error, as JSON lines for machines or as text for a person at a terminal.
//!
//! Standard output belongs to what a program answers: a readiness line, a table, a document.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::util::SubscriberInitExt;

/// What passes when `RUST_LOG` is not set: our own events, and only the troubles of the libraries.
const DEFAULT_FILTER: &str = "info,sqlx=warn,hyper=warn,hyper_util=warn,reqwest=warn,tower_http=warn,h2=warn";

/// How a log line looks. Every program takes it as `SPOOL_LOG_FORMAT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON anywhere else.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}

impl LogFormat {
    fn is_json(self, stderr_is_terminal: bool) -> bool {
        match self {
            Self::Json => true,
            Self::Text => false,
            Self::Auto => !stderr_is_terminal,
        }
    }
}

/// Installs the log subscriber of this process. A second call changes nothing, so tests may call it freely.
///
/// A `RUST_LOG` that cannot be parsed is reported as the first log line, and the default filter holds.
pub fn init(format: LogFormat) {
    let terminal = std::io::stderr().is_terminal();
    let (filter, bad_filter) = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(given) if !given.trim().is_empty() => match EnvFilter::try_new(&given) {
            Ok(filter) => (filter, None),
            Err(error) => (EnvFilter::new(DEFAULT_FILTER), Some(error)),
        },
        _ => (EnvFilter::new(DEFAULT_FILTER), None),
    };
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = if format.is_json(terminal) {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).finish().try_init()
    } else {
        lines.with_ansi(terminal).with_target(false).finish().try_init()
    };
    if installed.is_ok()
        && let Some(error) = bad_filter
    {
        tracing::warn!(%error, "RUST_LOG cannot be read and is ignored");
    }
}

#[cfg(test)]
mod tests {
    use super::LogFormat;

    #[test]
    fn auto_follows_the_terminal_and_the_others_do_not() {
        let table = [
            (LogFormat::Auto, true, false),
            (LogFormat::Auto, false, true),
            (LogFormat::Json, true, true),
            (LogFormat::Text, false, false),
        ];
        for (format, terminal, json) in table {
            assert_eq!(format.is_json(terminal), json, "{format:?} on a terminal: {terminal}");
        }
    }
}
