//! `spool keep` (hidden): stands between a supervisor and a program that does not watch for its death, as Prometheus does not.
//!
//! When standard input ends, or on SIGTERM, it stops the program; when the program ends by itself, it ends too and is started again.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use spool_telemetry::lifeline;

use super::Ending;
use crate::supervisor::process::{Program, Running};

/// From SIGTERM to SIGKILL.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub(crate) struct Keep {
    /// An address that answers 2xx once the program is ready. Then a line of JSON says so.
    #[arg(long)]
    ready: String,
    /// The program and its arguments, after `--`. What it prints goes to our standard error.
    #[arg(required = true, last = true)]
    command: Vec<OsString>,
}

pub(crate) async fn execute(keep: Keep) -> Ending {
    let stop = lifeline::watch();
    // The client below is built with a choice of TLS, though it never uses any.
    rustls::crypto::ring::default_provider().install_default().ok();
    let (program, args) = keep.command.split_first().ok_or("no program given")?;
    let program = Program::new(program).args(args);
    let mut running = program.start_kept()?;
    let ended = tokio::select! {
        status = tell_when_ready(&mut running, &keep.ready) => Some(status),
        () = stop.cancelled() => None,
    };
    if let Some(status) = ended {
        return Err(format!("{} ended by itself with {status}", program.name()).into());
    }
    running.stop(GRACE).await;
    Ok(ExitCode::SUCCESS)
}

/// Says so once it is ready; returns its status when it ends.
async fn tell_when_ready(running: &mut Running, address: &str) -> String {
    let asking = async {
        // Built without proxies: it is on this machine.
        let Ok(client) = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build() else {
            return;
        };
        loop {
            let answer = client.get(address).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                println!("{}", serde_json::json!({"ready": address}));
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        status = running.wait() => return status,
        () = asking => {}
    }
    running.wait().await
}
