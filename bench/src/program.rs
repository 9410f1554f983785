//! The one place of the benchmark that starts processes: each side of the comparison is one.
#![expect(
    clippy::disallowed_methods,
    reason = "peers are other people's programs, and each side has its own CPU and memory"
)]

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStdout, Command},
};

use crate::{
    contestant::{Answer, Began, Config},
    figures::BoxError,
};

/// How much of what a failing program wrote is shown.
const TAIL: usize = 300;

/// How a side is started, before its action and options.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    file: PathBuf,
    first: Vec<String>,
}

/// What it is to do.
pub(crate) struct Call<'a> {
    pub(crate) action: &'a str,
    pub(crate) config: Config,
    pub(crate) url: &'a str,
    pub(crate) tasks: usize,
    pub(crate) more: Vec<String>,
    /// Where its standard error goes.
    pub(crate) log: Option<&'a Path>,
}

impl Program {
    pub(crate) fn new(file: impl Into<PathBuf>, first: &[&str]) -> Self {
        Self { file: file.into(), first: first.iter().map(|&word| word.to_owned()).collect() }
    }

    /// # Errors
    /// Why it cannot be started.
    pub(crate) fn check(&self) -> Result<(), String> {
        let files = std::iter::once(self.file.as_path()).chain(self.first.first().map(Path::new));
        for file in files.filter(|file| file.is_absolute()) {
            if !file.exists() {
                return Err(format!("not installed ({} is missing)", file.display()));
            }
        }
        Ok(())
    }

    fn command(&self, call: &Call<'_>) -> Command {
        let config = match call.config {
            Config::Default => "default",
            Config::Tuned => "tuned",
        };
        let mut command = Command::new(&self.file);
        command.args(&self.first).arg(call.action).args([
            "--config",
            config,
            "--tasks",
            &call.tasks.to_string(),
        ]);
        command.args(&call.more).env("DATABASE_URL", call.url);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// Why there is no answer; its processes are gone then.
    pub(crate) async fn run(&self, call: &Call<'_>, limit: Duration) -> Result<Answer, String> {
        let stderr = match call.log {
            // Nobody reads along on this machine: reading would be part of what is measured.
            Some(path) => std::fs::File::create(path).map(Stdio::from).map_err(|error| error.to_string())?,
            None => Stdio::piped(),
        };
        let mut child = self.command(call).stderr(stderr).spawn().map_err(|error| error.to_string())?;
        let (mut out, mut err) = (String::new(), String::new());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let reading = async {
            let out = async {
                if let Some(mut from) = stdout {
                    from.read_to_string(&mut out).await.ok();
                }
            };
            let err = async {
                if let Some(mut from) = stderr {
                    from.read_to_string(&mut err).await.ok();
                }
            };
            tokio::join!(out, err);
            child.wait().await
        };
        match tokio::time::timeout(limit, reading).await {
            Err(_) => Err(format!("stalled: not done after {} s", limit.as_secs())),
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok(status)) if !status.success() => {
                let logged = call.log.and_then(|path| std::fs::read_to_string(path).ok());
                Err(format!("{status}: {}", last_words(&logged.unwrap_or(err))))
            }
            Ok(Ok(_)) => {
                let last = out
                    .lines()
                    .last()
                    .unwrap_or("{\"tasks\":0,\"seconds\":0,\"cpu_seconds\":0,\"peak_mb\":0}");
                serde_json::from_str(last).map_err(|error| format!("answered {last}: {error}"))
            }
        }
    }

    /// Starts it and leaves it running.
    pub(crate) fn start(&self, call: &Call<'_>) -> Result<Running, BoxError> {
        let mut child = self.command(call).stderr(Stdio::null()).spawn()?;
        let lines = BufReader::new(child.stdout.take().ok_or("no standard output")?).lines();
        Ok(Running { child, lines })
    }
}

fn last_words(text: &str) -> String {
    let text = text.trim();
    let from = text.char_indices().rev().nth(TAIL).map_or(0, |(at, _)| at);
    text[from..].replace('\n', " ")
}

/// A program that runs until it is killed.
pub(crate) struct Running {
    child: Child,
    lines: tokio::io::Lines<BufReader<ChildStdout>>,
}

impl Running {
    /// Waits until it has said that so many have started; returns when that was.
    pub(crate) async fn began(&mut self, count: usize, limit: Duration) -> Result<Instant, String> {
        let listening = async {
            while let Ok(Some(line)) = self.lines.next_line().await {
                if serde_json::from_str::<Began>(&line).is_ok_and(|began| began.started >= count) {
                    return Ok(Instant::now());
                }
            }
            Err("it ended too soon".to_owned())
        };
        tokio::time::timeout(limit, listening)
            .await
            .unwrap_or_else(|_| Err(format!("more than {} s", limit.as_secs())))
    }

    /// The last line it says before it ends.
    pub(crate) async fn answer(&mut self, limit: Duration) -> Result<Answer, String> {
        let listening = async {
            let mut last = String::new();
            while let Ok(Some(line)) = self.lines.next_line().await {
                last = line;
            }
            serde_json::from_str(&last).map_err(|error| format!("answered {last}: {error}"))
        };
        tokio::time::timeout(limit, listening)
            .await
            .unwrap_or_else(|_| Err(format!("stalled: not done after {} s", limit.as_secs())))
    }

    /// SIGKILL.
    pub(crate) async fn kill(mut self) {
        let _ = self.child.kill().await;
    }
}

/// What a command prints, or nothing.
pub(crate) async fn first_line_of(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().await.ok()?;
    String::from_utf8(output.stdout).ok()?.lines().next().map(str::to_owned)
}

/// What a program says that is expected to end well within the limit.
///
/// # Errors
/// Why it did not.
pub(crate) async fn output_of(program: &str, args: &[&str], limit: Duration) -> Result<String, String> {
    let running = Command::new(program).args(args).stdin(Stdio::null()).kill_on_drop(true).output();
    match tokio::time::timeout(limit, running).await {
        Err(_) => Err(format!("{program} did not end within {} s", limit.as_secs())),
        Ok(Err(error)) => Err(format!("{program} does not start: {error}")),
        Ok(Ok(output)) if !output.status.success() => Err(format!(
            "{program}: {}: {}",
            output.status,
            last_words(&String::from_utf8_lossy(&output.stderr))
        )),
        Ok(Ok(output)) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
    }
}
