//! `spool`: everything on one machine, a demonstration, and the chores of an operator.

#![cfg_attr(not(feature = "schema"), expect(dead_code, reason = "only `spool postgres` is built"))]

mod commands;
#[cfg(feature = "schema")]
mod demo;
#[cfg(feature = "schema")]
mod doctor;
#[cfg(feature = "schema")]
mod observe;
mod postgres;
#[cfg(feature = "schema")]
mod stack;
mod supervisor;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use commands::Ending;
use spool_telemetry::logging::{self, LogFormat};
use spool_telemetry::traces::Traces;

#[derive(Debug, Parser)]
#[command(version, about, long_about = None, arg_required_else_help = true)]
struct Arguments {
    /// How log lines look; they go to standard error.
    #[arg(long, env = "SPOOL_LOG_FORMAT", value_enum, default_value_t, global = true)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run everything on this machine: Postgres, simulator, API and workers.
    #[cfg(feature = "schema")]
    Dev(commands::dev::Dev),
    /// Make a real video from photos, with progress bars.
    #[cfg(feature = "schema")]
    Demo(commands::demo::Demo),
    /// Run everything under steady load, with Prometheus and Alertmanager beside it.
    #[cfg(feature = "schema")]
    Observe(commands::observe::Observe),
    /// Look at a running installation and say what is wrong and what to do. Reads only.
    #[cfg(feature = "schema")]
    Doctor(commands::doctor::Doctor),
    /// Bring the database of DATABASE_URL up to date.
    #[cfg(feature = "schema")]
    Migrate(commands::migrate::Migrate),
    /// Bring over the database of an older system: clients, campaigns, assets, jobs and their media.
    #[cfg(feature = "schema")]
    #[command(subcommand)]
    Import(commands::import::Imports),
    /// API keys of the database of DATABASE_URL.
    #[cfg(feature = "schema")]
    #[command(subcommand)]
    Keys(commands::keys::Keys),
    /// What may be spent, and the emergency stop.
    #[cfg(feature = "schema")]
    Budget(commands::budget::Budgets),
    /// Why a job stands where it stands: what each of its tasks waits for, and when it will probably end.
    #[cfg(feature = "schema")]
    Explain(commands::explain::Explain),
    /// What may be asked of a provider by all workers together.
    #[cfg(feature = "schema")]
    Limits(commands::limits::Limits),
    /// What is left alone because it fails, and by an operator's hand.
    #[cfg(feature = "schema")]
    Breaker(commands::breaker::Breakers),
    /// Paid calls as they stand, and your word on those in doubt.
    #[cfg(feature = "schema")]
    Predictions(commands::predictions::Predictions),
    /// What was spent, on what, and what it was good for.
    #[cfg(feature = "schema")]
    Spend(commands::spend::Spend),
    /// Between a supervisor and a program that does not watch for its death.
    #[cfg(feature = "schema")]
    #[command(hide = true)]
    Keep(commands::keep::Keep),
    /// A private Postgres for the time of one command.
    #[command(subcommand)]
    Postgres(commands::postgres::Postgres),
}

async fn execute(command: Command) -> Ending {
    match command {
        #[cfg(feature = "schema")]
        Command::Dev(dev) => commands::dev::execute(dev).await,
        #[cfg(feature = "schema")]
        Command::Demo(demo) => commands::demo::execute(demo).await,
        #[cfg(feature = "schema")]
        Command::Observe(observe) => commands::observe::execute(observe).await,
        #[cfg(feature = "schema")]
        Command::Keep(keep) => commands::keep::execute(keep).await,
        #[cfg(feature = "schema")]
        Command::Doctor(doctor) => commands::doctor::execute(doctor).await,
        #[cfg(feature = "schema")]
        Command::Migrate(migrate) => commands::migrate::execute(migrate).await,
        #[cfg(feature = "schema")]
        Command::Import(imports) => commands::import::execute(imports).await,
        #[cfg(feature = "schema")]
        Command::Keys(keys) => commands::keys::execute(keys).await,
        #[cfg(feature = "schema")]
        Command::Budget(budgets) => commands::budget::execute(budgets).await,
        #[cfg(feature = "schema")]
        Command::Explain(explain) => commands::explain::execute(explain).await,
        #[cfg(feature = "schema")]
        Command::Limits(limits) => commands::limits::execute(limits).await,
        #[cfg(feature = "schema")]
        Command::Breaker(breakers) => commands::breaker::execute(breakers).await,
        #[cfg(feature = "schema")]
        Command::Predictions(predictions) => commands::predictions::execute(predictions).await,
        #[cfg(feature = "schema")]
        Command::Spend(spend) => commands::spend::execute(spend).await,
        Command::Postgres(postgres) => commands::postgres::execute(postgres).await,
    }
}

/// An error and its causes, each on a line of its own. A cause that the line above already tells is left out: not
/// every library keeps its source out of its message.
fn told(error: &(dyn Error + 'static)) -> String {
    let mut lines = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(source) = cause {
        let line = source.to_string();
        if !lines.iter().any(|above| above.contains(&line)) {
            lines.push(line);
        }
        cause = source.source();
    }
    lines.join("\n  because: ")
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let _lines = logging::init(arguments.log_format, &Traces::off());
    match execute(arguments.command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", told(&*error));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::told;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the list")]
    struct Outer(#[source] Middle);

    #[derive(Debug, thiserror::Error)]
    #[error("the disk says: {0}")]
    struct Middle(#[source] std::io::Error);

    #[test]
    fn each_cause_is_told_once() {
        let error = Outer(Middle(std::io::Error::other("no such thing")));
        assert_eq!(told(&error), "cannot read the list\n  because: the disk says: no such thing");
    }
}
