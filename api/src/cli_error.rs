//! Turns a refusal of the command line into one sentence that names the environment variable, since that is where
//! most settings come from.

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::cli::Cli;

/// The sentence; `None` for what clap says better itself (help, version, unknown words).
pub fn sentence(error: &clap::Error) -> Option<String> {
    let flags = match error.get(ContextKind::InvalidArg)? {
        ContextValue::Strings(flags) => flags.clone(),
        ContextValue::String(flag) => vec![flag.clone()],
        _ => return None,
    };
    match error.kind() {
        ErrorKind::MissingRequiredArgument => {
            let names: Vec<String> = flags.iter().map(|flag| name_of(flag)).collect();
            let verb = if names.len() == 1 { "is" } else { "are" };
            Some(format!("{} {verb} not set; `spool-api --help` says what to put there", names.join(", ")))
        }
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            let name = name_of(flags.first()?);
            let value = match error.get(ContextKind::InvalidValue) {
                Some(ContextValue::String(value)) if !value.is_empty() => format!(" {value:?}"),
                _ => String::new(),
            };
            let why =
                std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
            Some(format!("{name} has a value{value} that cannot be{why}; see `spool-api --help`"))
        }
        _ => None,
    }
}

/// `--database-url <DATABASE_URL>` is set by `DATABASE_URL`.
fn name_of(flag: &str) -> String {
    let long = flag.split([' ', '=']).next().unwrap_or(flag).trim_start_matches('-');
    let command = Cli::command();
    let arguments = command.get_subcommands().flat_map(clap::Command::get_arguments);
    let variable = arguments
        .filter(|argument| argument.get_long() == Some(long))
        .find_map(|argument| argument.get_env());
    variable.map_or_else(|| flag.to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(words: &[&str]) -> String {
        let all = ["spool-api", "serve", "--public-base-url", "https://x.example", "--signing-key", "k"];
        let words = all.iter().chain(words).map(Into::into);
        sentence(&Cli::parse_words(words).expect_err("is refused")).expect("a sentence")
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
        ] {
            let said = refused(&[&rest[..], &[flag, value]].concat());
            assert!(said.starts_with(variable) && said.contains(value), "{said}");
            assert!(!said.contains('\n'), "{said}");
        }
    }
}
