//! `spool dev`: everything on this machine until Ctrl-C.

use std::process::ExitCode;

use secrecy::ExposeSecret;
use spool_telemetry::{build, lifeline};

use super::Ending;
use crate::stack::options::StackOptions;
use crate::stack::ready::Ready;
use crate::stack::start::Stack;

/// Options of `spool dev`. DATABASE_URL and SPOOL_MEDIA_URL of the environment are not used: what is developed here
/// never touches what runs elsewhere. Other settings of the worker and the API pass through.
#[derive(Debug, clap::Args)]
pub(crate) struct Dev {
    #[command(flatten)]
    options: StackOptions,
    /// Print one line of JSON when all is healthy, and nothing else. It holds the key.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn execute(dev: Dev) -> Ending {
    let stop = lifeline::watch();
    let mut stack = Stack::open(&dev.options.data_dir)?;
    let quiet = dev.json;
    if !quiet {
        println!("spool {}  development on this machine alone, not for production", build::VERSION);
    }
    let say = |part: &str, line: String| {
        if !quiet {
            println!("  ok  {part:<10} {line}");
        }
    };
    let started = tokio::select! {
        started = stack.start(&dev.options, say) => Some(started),
        () = stop.cancelled() => None,
    };
    let ended = match started {
        Some(Ok(ready)) => {
            tell(&ready, &stack, quiet);
            stop.cancelled().await;
            Ok(ExitCode::SUCCESS)
        }
        Some(Err(error)) => Err(error.into()),
        None => Ok(ExitCode::SUCCESS),
    };
    if !quiet {
        println!("stopping");
    }
    stack.stop().await;
    ended
}

fn tell(ready: &Ready, stack: &Stack, quiet: bool) {
    if quiet {
        println!("{}", ready.to_json());
        return;
    }
    println!("  ok  key        {}", ready.key.expose_secret());
    println!("  ok  logs       {}", stack.data_dir().join("logs").display());
    println!("ready. Try, in another terminal:");
    println!("  curl -H \"x-api-key: $(cat {})\" {}/api/v3/admin/workers", key_file(stack), ready.api);
    println!("  spool demo --api {} --key \"$(cat {})\"", ready.api, key_file(stack));
    println!("Stop: Ctrl-C. What was made stays, and the next start goes on with it.");
}

fn key_file(stack: &Stack) -> String {
    stack.data_dir().join("dev.key").display().to_string()
}
