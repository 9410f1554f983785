//! The one place of this program that starts another process.
//!
//! A child that runs on gets its own process group, so that Ctrl-C at a terminal reaches the supervisor alone, and
//! a pipe as standard input that closes whatever the supervisor dies of (see [`spool_telemetry::lifeline`]).

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use spool_telemetry::lifeline::EXIT_ON_STDIN_CLOSE;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::strays;

/// How much of a log is shown when a child ends before it was ready.
const LOG_TAIL_BYTES: usize = 2_000;

/// A process could not be started, or ended badly.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    #[error("cannot start {program}")]
    Start { program: String, source: std::io::Error },
    #[error("cannot open the log file {}", path.display())]
    Log { path: PathBuf, source: std::io::Error },
    #[error("{program} ended with {status} before it was ready; the end of {}:\n{tail}", log.display())]
    EndedEarly { program: String, status: String, log: PathBuf, tail: String },
    #[error("{program} was not ready after {} s; see {}", limit.as_secs(), log.display())]
    NotReady { program: String, limit: Duration, log: PathBuf },
    #[error("{program} announced itself with a line that is not JSON: {line:?}")]
    BadAnnouncement { program: String, line: String },
    #[error("{program} did not end within {} s", limit.as_secs())]
    TooLong { program: String, limit: Duration },
    #[error("{program} ended with {status}: {output}")]
    Failed { program: String, status: String, output: String },
    #[error("cannot wait for {program}")]
    Wait { program: String, source: std::io::Error },
}

/// An unprivileged user that a child runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunAs {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// What to start and how. Clonable, so that the same thing can be started again.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    without: Vec<&'static str>,
    folder: Option<PathBuf>,
    run_as: Option<RunAs>,
}

impl Program {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { path, args: Vec::new(), env: Vec::new(), without: Vec::new(), folder: None, run_as: None }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(self, args: impl IntoIterator<Item = A>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Hides a variable of our own environment from the child.
    pub(crate) fn without_env(mut self, name: &'static str) -> Self {
        self.without.push(name);
        self
    }

    pub(crate) fn in_folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    pub(crate) fn run_as(mut self, run_as: Option<RunAs>) -> Self {
        self.run_as = run_as;
        self
    }

    /// The file name, for messages.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the supervisor is one of the two places that start processes"
    )]
    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.args);
        for name in &self.without {
            command.env_remove(name);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        if let Some(RunAs { uid, gid }) = self.run_as {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn spawn(&self, command: &mut Command) -> Result<Child, ProcessError> {
        strays::spawn_known(|| command.spawn())
            .map_err(|source| ProcessError::Start { program: self.name(), source })
    }

    /// Runs to the end and gives the standard output; both outputs together are in the error.
    pub(crate) async fn output(&self, limit: Duration) -> Result<String, ProcessError> {
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let child = self.spawn(&mut command)?;
        let pid = child.id();
        let output = tokio::time::timeout(limit, child.wait_with_output()).await;
        strays::forget(pid);
        let output = output
            .map_err(|_| ProcessError::TooLong { program: self.name(), limit })?
            .map_err(|source| ProcessError::Wait { program: self.name(), source })?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        let both = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
        Err(ProcessError::Failed {
            program: self.name(),
            status: output.status.to_string(),
            output: both.trim().to_owned(),
        })
    }

    /// Starts it at our own terminal, in our own process group, with our own input and output.
    pub(crate) fn start_attached(&self) -> Result<Child, ProcessError> {
        self.spawn(&mut self.command())
    }

    /// Starts it with no lifeline, all its output on our standard error: for a process that its keeper stops by signal.
    pub(crate) fn start_kept(&self) -> Result<Running, ProcessError> {
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::from(std::io::stderr())).process_group(0);
        let child = self.spawn(&mut command)?;
        Ok(Running {
            pid: child.id(),
            program: self.name(),
            child,
            lifeline: None,
            stdout: None,
            log: PathBuf::new(),
        })
    }

    /// Starts it in the background with a lifeline; its log lines are appended to `log`.
    pub(crate) fn start(&self, log: &Path) -> Result<Running, ProcessError> {
        let file = open_log(log).map_err(|source| ProcessError::Log { path: log.to_owned(), source })?;
        let mut command = self.command();
        command
            .env(EXIT_ON_STDIN_CLOSE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(file))
            .process_group(0);
        let mut child = self.spawn(&mut command)?;
        Ok(Running {
            pid: child.id(),
            program: self.name(),
            lifeline: child.stdin.take(),
            stdout: child.stdout.take().map(BufReader::new),
            child,
            log: log.to_owned(),
        })
    }
}

fn open_log(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// A child in the background. Dropping it closes its lifeline, which it takes as a request to stop.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    pid: Option<u32>,
    program: String,
    lifeline: Option<ChildStdin>,
    stdout: Option<BufReader<ChildStdout>>,
    log: PathBuf,
}

impl Running {
    pub(crate) fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// The first line that the child writes to its standard output, as JSON: it is ready. Later lines are dropped.
    pub(crate) async fn announcement(&mut self, limit: Duration) -> Result<serde_json::Value, ProcessError> {
        let Some(mut stdout) = self.stdout.take() else {
            return Ok(serde_json::Value::Null);
        };
        let mut line = String::new();
        match tokio::time::timeout(limit, stdout.read_line(&mut line)).await {
            Err(_) => {
                return Err(ProcessError::NotReady {
                    program: self.program.clone(),
                    limit,
                    log: self.log.clone(),
                });
            }
            Ok(Ok(0) | Err(_)) => return Err(self.ended_early().await),
            Ok(Ok(_)) => {}
        }
        tokio::spawn(async move {
            let _ = tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await;
        });
        serde_json::from_str(line.trim()).map_err(|_| ProcessError::BadAnnouncement {
            program: self.program.clone(),
            line: line.trim().to_owned(),
        })
    }

    /// Waits for the end and says what the log ends with.
    pub(crate) async fn ended_early(&mut self) -> ProcessError {
        let status = self.wait().await;
        let log = std::fs::read(&self.log).unwrap_or_default();
        let tail =
            String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_TAIL_BYTES)..]).trim().to_owned();
        ProcessError::EndedEarly { program: self.program.clone(), status, log: self.log.clone(), tail }
    }

    /// Waits until the child has ended; its status in words.
    pub(crate) async fn wait(&mut self) -> String {
        let status = self.child.wait().await;
        strays::forget(self.pid.take());
        status.map_or_else(|error| error.to_string(), |status: ExitStatus| status.to_string())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid.map(raw_pid) {
            let _ = kill(pid, signal);
        }
    }

    /// SIGTERM, time to finish, then SIGKILL to its whole process group.
    pub(crate) async fn stop(&mut self, grace: Duration) {
        if self.pid.is_none() {
            return;
        }
        self.signal(Signal::SIGTERM);
        // The pipe is closed as well: a child that lost the signal before it listened still sees this.
        if let Some(mut lifeline) = self.lifeline.take() {
            let _ = lifeline.shutdown().await;
        }
        if tokio::time::timeout(grace, self.wait()).await.is_err() {
            tracing::warn!(program = self.program, "did not stop in time and is killed");
            if let Some(pid) = self.pid.map(raw_pid) {
                let _ = killpg(pid, Signal::SIGKILL);
            }
            self.wait().await;
        }
    }
}

/// Kernel process ids fit: Linux stops at 2^22, macOS at 99999.
pub(crate) fn raw_pid(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program::new("/bin/sh").arg("-c").arg(script)
    }

    #[tokio::test]
    async fn a_child_that_ends_early_shows_the_end_of_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("x.log");
        let mut child = shell("echo 'no such variable: FOO' >&2; exit 3").start(&log).unwrap();
        let error = child.announcement(Duration::from_secs(30)).await.unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("no such variable: FOO"), "{error}");
    }

    #[tokio::test]
    async fn a_child_announces_itself_and_stops_when_its_lifeline_closes() {
        let folder = tempfile::tempdir().unwrap();
        let script = "echo '{\"listening\":\"here\"}'; trap '' TERM; cat > /dev/null; exit 0";
        let mut child = shell(script).start(&folder.path().join("x.log")).unwrap();
        let announced = child.announcement(Duration::from_secs(30)).await.unwrap();
        assert_eq!(announced["listening"], "here");
        child.stop(Duration::from_secs(30)).await;
        assert_eq!(child.pid(), None);
    }

    #[tokio::test]
    async fn a_deaf_child_is_killed_with_its_group() {
        let folder = tempfile::tempdir().unwrap();
        let script = "echo '{}'; trap '' TERM; while :; do sleep 1; done";
        let mut child = shell(script).start(&folder.path().join("x.log")).unwrap();
        child.announcement(Duration::from_secs(30)).await.unwrap();
        child.stop(Duration::from_millis(100)).await;
        assert_eq!(child.pid(), None);
    }

    #[tokio::test]
    async fn a_failing_program_is_named_with_its_output() {
        let error =
            shell("echo out; echo err >&2; exit 7").output(Duration::from_secs(30)).await.unwrap_err();
        assert_eq!(error.to_string(), "sh ended with exit status: 7: out\nerr");
    }
}
