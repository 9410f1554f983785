//! `spool-api`: settings, logs, metrics, serve, drain; or print the OpenAPI document.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::CommandFactory;
use spool_api::cli::{Cli, Command, ServeArgs};
use spool_api::server::{Server, ServerError};
use spool_api::{openapi, router};
use spool_telemetry::declared::By;
use spool_telemetry::traces::Traces;
use spool_telemetry::{aliases, lifeline, logging, metrics, refusal};

/// Exit code for settings that cannot be.
const BAD_SETTINGS: u8 = 2;

fn main() -> ExitCode {
    let (cli, older) = match Cli::parse_with(std::env::args_os(), |name| std::env::var(name).ok()) {
        Ok(parsed) => parsed,
        Err(error) => return refuse(&error),
    };
    match cli.command {
        Command::Openapi => print_document(),
        Command::Serve(args) => serve(&args, &older),
    }
}

/// Settings that are missing or make no sense: one sentence that names the variable. Help and version are no errors.
fn refuse(error: &clap::Error) -> ExitCode {
    let Some(sentence) = refusal::sentence(error, &Cli::command()) else { error.exit() };
    writeln!(std::io::stderr(), "spool-api: {sentence}").ok();
    ExitCode::from(BAD_SETTINGS)
}

fn print_document() -> ExitCode {
    let Ok(text) = openapi::to_text(&router::document()) else { return ExitCode::FAILURE };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve(args: &ServeArgs, older: &[String]) -> ExitCode {
    spool_provider::http::install_crypto();
    let traces = match Traces::start(&args.traces, "spool-api") {
        Ok(traces) => traces,
        Err(error) => return complain(&error, ExitCode::from(BAD_SETTINGS)),
    };
    let _lines = logging::init(args.log_format, &traces);
    aliases::name_them(older);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, ExitCode::FAILURE),
    };
    let ended = runtime.block_on(run(args));
    traces.end();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ ServerError::Config(_)) => complain(&error, ExitCode::from(BAD_SETTINGS)),
        Err(error) => complain(&error, ExitCode::FAILURE),
    }
}

async fn run(args: &ServeArgs) -> Result<(), ServerError> {
    let stop = lifeline::watch();
    let metrics = metrics::install(By::Api);
    let server = Server::bind(args, metrics).await?;
    let address = server.address();
    tracing::info!(%address, "listening");
    if args.listen.announce {
        announce(&format!("http://{address}"));
    }
    server.run(stop).await
}

/// One line on standard output for whoever started us and waits.
fn announce(listening: &str) {
    let line = serde_json::json!({ "listening": listening });
    let mut stdout = std::io::stdout();
    // A parent that no longer reads is no reason not to serve.
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).ok();
}

/// One sentence with its causes.
fn complain(error: &dyn Error, code: ExitCode) -> ExitCode {
    let mut sentence = format!("spool-api: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        sentence.push_str(": ");
        sentence.push_str(&cause.to_string());
        source = cause.source();
    }
    writeln!(std::io::stderr(), "{sentence}").ok();
    code
}
