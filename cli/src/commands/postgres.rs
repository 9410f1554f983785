//! `spool postgres run`: a private Postgres for the time of one command. And the hidden keeper behind it.

use std::ffi::OsString;
use std::process::ExitCode;

use nix::sys::signal::{Signal, kill};
use spool_telemetry::lifeline;

use super::Ending;
use crate::postgres::cluster::Durability;
use crate::postgres::keeper::{self, Keep};
use crate::postgres::throwaway::{Migrations, Throwaway};
use crate::supervisor::process::{Program, raw_pid};

/// Shells report the end by signal N as 128 + N.
const SIGNAL_BASE: i32 = 128;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Postgres {
    /// Start a throw-away Postgres, run a command with DATABASE_URL set to it, stop and delete it.
    ///
    /// The exit code is the command's. Nothing is installed or left behind; as root, Postgres runs as an
    /// unprivileged user.
    Run(Run),
    /// Between a supervisor and its Postgres.
    #[command(hide = true)]
    Keep(Keep),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// Keep Postgres' default durability, for benchmarks; else it never waits for the disk.
    #[arg(long)]
    durable: bool,
    /// Apply the migrations of a folder first, noted in a table of that schema. May be given more than once.
    #[arg(long, value_name = "SCHEMA=FOLDER")]
    migrations: Vec<Migrations>,
    /// The command and its arguments, after `--`.
    #[arg(required = true, last = true)]
    command: Vec<OsString>,
}

pub(crate) async fn execute(postgres: Postgres) -> Ending {
    match postgres {
        Postgres::Run(command) => run(command).await,
        Postgres::Keep(orders) => {
            keeper::keep(&orders, lifeline::watch()).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn run(run: Run) -> Ending {
    let stop = lifeline::watch();
    let durability = if run.durable { Durability::Safe } else { Durability::None };
    let program = std::env::current_exe()?;
    let started = tokio::select! {
        started = Throwaway::start(&program, durability) => started?,
        () = stop.cancelled() => return Ok(exit_code(SIGNAL_BASE + Signal::SIGINT as i32)),
    };
    let ended = command_on(&started, &run, &stop).await;
    started.stop().await;
    ended
}

async fn command_on(postgres: &Throwaway, run: &Run, stop: &tokio_util::sync::CancellationToken) -> Ending {
    postgres.migrate(&run.migrations).await?;
    let (program, args) = run.command.split_first().ok_or("no command given")?;
    let program = Program::new(program).args(args).env("DATABASE_URL", &postgres.url);
    let mut child = program.start_attached()?;
    let status = tokio::select! {
        status = child.wait() => status?,
        () = stop.cancelled() => {
            // Ctrl-C reached the command by itself; a SIGTERM reached us alone.
            if let Some(pid) = child.id() {
                let _ = kill(raw_pid(pid), Signal::SIGTERM);
            }
            child.wait().await?
        }
    };
    let by_signal = std::os::unix::process::ExitStatusExt::signal(&status).map(|signal| SIGNAL_BASE + signal);
    Ok(exit_code(status.code().or(by_signal).unwrap_or(1)))
}

fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
