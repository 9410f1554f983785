//! `spool-worker`: configuration, telemetry, then work until told to stop.

use clap::Parser;
use spool_telemetry::{lifeline, logging, metrics};
use spool_worker::config::Config;
use spool_worker::run::run;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    // For tests: no setting is needed to learn the names of the places where they may kill it.
    #[cfg(feature = "crash-points")]
    if std::env::args().any(|argument| argument == "--crash-points") {
        spool_worker::print_crash_points();
        return ExitCode::SUCCESS;
    }
    let config = Config::parse();
    logging::init(config.log_format);
    spool_provider::http::install_crypto();
    if let Err(error) = config.check() {
        tracing::error!("{error}");
        return ExitCode::from(2);
    }
    let metrics = metrics::install();
    match run(config, metrics, lifeline::watch()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = &*error as &dyn std::error::Error, "the worker could not go on");
            ExitCode::FAILURE
        }
    }
}
