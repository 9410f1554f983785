//! `spool`: everything on one machine, a demonstration, and the chores of an operator.

#![cfg_attr(not(feature = "schema"), expect(dead_code, reason = "only `spool postgres` is built"))]

mod commands;
#[cfg(feature = "schema")]
mod demo;
mod postgres;
#[cfg(feature = "schema")]
mod stack;
mod supervisor;

use std::process::ExitCode;

use clap::Parser;
use commands::Ending;
use spool_telemetry::logging::{self, LogFormat};

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
    /// Bring the database of DATABASE_URL up to date.
    #[cfg(feature = "schema")]
    Migrate(commands::migrate::Migrate),
    /// API keys of the database of DATABASE_URL.
    #[cfg(feature = "schema")]
    #[command(subcommand)]
    Keys(commands::keys::Keys),
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
        Command::Migrate(migrate) => commands::migrate::execute(migrate).await,
        #[cfg(feature = "schema")]
        Command::Keys(keys) => commands::keys::execute(keys).await,
        Command::Postgres(postgres) => commands::postgres::execute(postgres).await,
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    logging::init(arguments.log_format);
    match execute(arguments.command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            let mut cause = error.source();
            while let Some(source) = cause {
                eprintln!("  because: {source}");
                cause = source.source();
            }
            ExitCode::FAILURE
        }
    }
}
