//! `spool-worker`: configuration, telemetry, then work until told to stop.

use clap::{CommandFactory, Parser};
use spool_telemetry::declared::By;
use spool_telemetry::traces::Traces;
use spool_telemetry::{aliases, lifeline, logging, metrics, refusal};
use spool_worker::config::Config;
use spool_worker::run::run;
use std::io::Write;
use std::process::ExitCode;

/// Exit code for settings that cannot be.
const BAD_SETTINGS: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    // For tests: no setting is needed to learn the names of the places where they may kill it.
    #[cfg(feature = "crash-points")]
    if std::env::args().any(|argument| argument == "--crash-points") {
        spool_worker::print_crash_points();
        return ExitCode::SUCCESS;
    }
    let read = |name: &str| std::env::var(name).ok();
    let applied = aliases::apply(std::env::args_os().collect(), &[aliases::SHARED], read);
    let config = match Config::try_parse_from(applied.words) {
        Ok(config) => config,
        Err(error) => return refuse(&error),
    };
    spool_provider::http::install_crypto();
    let traces = match Traces::start(&config.traces, "spool-worker") {
        Ok(traces) => traces,
        Err(error) => {
            writeln!(std::io::stderr(), "spool-worker: {error}").ok();
            return ExitCode::from(BAD_SETTINGS);
        }
    };
    let _lines = logging::init(config.log_format, &traces);
    aliases::name_them(&applied.notes);
    if let Err(error) = config.check() {
        writeln!(std::io::stderr(), "spool-worker: {error}").ok();
        return ExitCode::from(BAD_SETTINGS);
    }
    let metrics = metrics::install(By::Worker);
    let ended = run(config, metrics, lifeline::watch()).await;
    traces.end();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = &*error as &dyn std::error::Error, "the worker could not go on");
            ExitCode::FAILURE
        }
    }
}

/// One sentence that names the variable. Help and version are no errors.
fn refuse(error: &clap::Error) -> ExitCode {
    let Some(sentence) = refusal::sentence(error, &Config::command()) else { error.exit() };
    writeln!(std::io::stderr(), "spool-worker: {sentence}").ok();
    ExitCode::from(BAD_SETTINGS)
}
