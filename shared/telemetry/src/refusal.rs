//! Turns a refusal of the command line into one sentence that names the environment variable, since that is where
//! most settings come from.

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The sentence; `None` for what clap says better itself (help, version, unknown words).
pub fn sentence(error: &clap::Error, command: &Command) -> Option<String> {
    let program = command.get_name();
    let flags = match error.get(ContextKind::InvalidArg)? {
        ContextValue::Strings(flags) => flags.clone(),
        ContextValue::String(flag) => vec![flag.clone()],
        _ => return None,
    };
    match error.kind() {
        ErrorKind::MissingRequiredArgument => {
            let names: Vec<String> = flags.iter().map(|flag| name_of(flag, command)).collect();
            let verb = if names.len() == 1 { "is" } else { "are" };
            Some(format!("{} {verb} not set; `{program} --help` says what to put there", names.join(", ")))
        }
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            let name = name_of(flags.first()?, command);
            let value = match error.get(ContextKind::InvalidValue) {
                Some(ContextValue::String(value)) if !value.is_empty() => format!(" {value:?}"),
                _ => String::new(),
            };
            let why =
                std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
            Some(format!("{name} has a value{value} that cannot be{why}; see `{program} --help`"))
        }
        _ => None,
    }
}

/// `--database-url <DATABASE_URL>` is set by `DATABASE_URL`.
fn name_of(flag: &str, command: &Command) -> String {
    let long = flag.split([' ', '=']).next().unwrap_or(flag).trim_start_matches('-');
    let below = command.get_subcommands().flat_map(Command::get_arguments);
    let arguments = command.get_arguments().chain(below);
    let mut named = arguments.filter(|argument| argument.get_long() == Some(long));
    let variable = named.find_map(clap::Arg::get_env);
    variable.map_or_else(|| flag.to_owned(), |name| name.to_string_lossy().into_owned())
}
