//! Running FFmpeg: the one place of the programs where it is started.
//!
//! Arguments are a list, never a shell line. Each run has its own process group (a Ctrl-C in the terminal
//! must not tear a file that a draining worker is still writing), a deadline, and dies with the future that
//! waits for it. How many run at once is bounded here, so that callers need not know of each other.

use rustix::process::{Pid, setpriority_process};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::Semaphore;

/// How much of FFmpeg's complaints an error keeps, in bytes: the end says what went wrong.
const STDERR_TAIL: usize = 4 * 1024;
/// How much a program may print before it is stopped, in bytes. A probe prints a few kilobytes.
const STDOUT_LIMIT: usize = 4 * 1024 * 1024;
/// Its niceness. Whoever shares the machine with it (the worker's leases, the API, Postgres) needs little, but at once.
const NICENESS: i32 = 10;

/// Why a run of FFmpeg or ffprobe did not give what was asked.
#[derive(Debug, thiserror::Error)]
pub enum FfmpegError {
    /// The program is not installed.
    #[error(
        "{program} was not found on PATH: install FFmpeg (Debian and Ubuntu: apt-get install ffmpeg; macOS: brew install ffmpeg)"
    )]
    Missing {
        /// `ffmpeg` or `ffprobe`.
        program: &'static str,
    },
    /// The operating system would not start it.
    #[error("could not start {program}")]
    Start {
        /// The program's path.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Reading what it printed failed.
    #[error("could not read the output of {program}")]
    Read {
        /// The program's path.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It printed more than a sane run prints.
    #[error("{program} printed more than {STDOUT_LIMIT} bytes")]
    TooMuchOutput {
        /// The program's path.
        program: String,
    },
    /// It ended with an error of its own.
    #[error("{program} ended with {status}: {stderr}")]
    Failed {
        /// The program's path.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote to stderr.
        stderr: String,
    },
    /// It was killed because it took too long.
    #[error("{program} was stopped after {} s: {stderr}", after.as_secs())]
    TimedOut {
        /// The program's path.
        program: String,
        /// The time it was given.
        after: Duration,
        /// The end of what it had written to stderr.
        stderr: String,
    },
}

/// How long a run over `length` of media may take before something must be wrong: it is a backstop for a
/// loaded machine, the steps that call have deadlines of their own.
pub(crate) fn work_timeout(length: Duration) -> Duration {
    Duration::from_secs(120) + length * 30
}

/// Writes an argument list of mixed strings and paths: `args!["-i", path, "-t", &seconds]`.
#[macro_export]
macro_rules! args {
    ($($arg:expr),* $(,)?) => { [$(::std::ffi::OsStr::new($arg)),*] };
}

/// Is told of each run that ended by itself: what it was for, how it ended (`ok`, `failed`, `timed_out` or `not_started`), how long it
/// took, and how much film or sound went through, where that is known.
pub type Watcher = fn(&'static str, &'static str, Duration, Option<Duration>);

/// The installed FFmpeg, and how many of it may run at the same time. Clones share the bound.
#[derive(Debug, Clone)]
pub struct Ffmpeg {
    encoder: PathBuf,
    prober: PathBuf,
    slots: Arc<Semaphore>,
    watcher: Option<Watcher>,
    operation: &'static str,
    media: Option<Duration>,
}

impl Ffmpeg {
    /// Finds `ffmpeg` and `ffprobe` on `PATH` and in the usual places; at most `max_parallel` (at least
    /// one) run at the same time.
    ///
    /// # Errors
    /// [`FfmpegError::Missing`], whose sentence says how to install it.
    pub fn discover(max_parallel: usize) -> Result<Self, FfmpegError> {
        Ok(Self {
            encoder: find("ffmpeg")?,
            prober: find("ffprobe")?,
            slots: Arc::new(Semaphore::new(max_parallel.max(1))),
            watcher: None,
            operation: "other",
            media: None,
        })
    }

    /// The same, with somebody who counts its runs.
    #[must_use]
    pub fn watched(self, watcher: Watcher) -> Self {
        Self { watcher: Some(watcher), ..self }
    }

    /// The same, with a word for what its runs are for.
    pub(crate) fn doing(&self, operation: &'static str) -> Self {
        Self { operation, ..self.clone() }
    }

    /// The same, for runs that so much film or sound goes through.
    pub(crate) fn over(&self, media: Duration) -> Self {
        Self { media: Some(media), ..self.clone() }
    }

    /// Runs `ffmpeg` with these arguments (after `-nostdin -hide_banner -nostats -v error -y`) until it ends.
    /// Dropping the future kills it.
    ///
    /// # Errors
    /// It could not start, failed, or had not ended `timeout` after it started (then it is killed). The wait
    /// for a free place does not count.
    pub async fn run<S: AsRef<OsStr>>(&self, args: &[S], timeout: Duration) -> Result<(), FfmpegError> {
        let mut all: Vec<OsString> =
            ["-nostdin", "-hide_banner", "-nostats", "-v", "error", "-y"].map(OsString::from).to_vec();
        all.extend(args.iter().map(|arg| arg.as_ref().to_os_string()));
        self.start(&self.encoder, &all, timeout).await.map(|_| ())
    }

    /// Runs `ffprobe` with these arguments (after `-hide_banner -v error`) and returns what it printed.
    ///
    /// # Errors
    /// As [`Ffmpeg::run`]; also when it printed more than a few megabytes.
    pub async fn ffprobe<S: AsRef<OsStr>>(
        &self,
        args: &[S],
        timeout: Duration,
    ) -> Result<Vec<u8>, FfmpegError> {
        let mut all: Vec<OsString> = ["-hide_banner", "-v", "error"].map(OsString::from).to_vec();
        all.extend(args.iter().map(|arg| arg.as_ref().to_os_string()));
        self.start(&self.prober, &all, timeout).await
    }

    async fn start(
        &self,
        program: &Path,
        args: &[OsString],
        timeout: Duration,
    ) -> Result<Vec<u8>, FfmpegError> {
        // The semaphore is never closed; were it, running unbounded would still be right.
        let _slot = self.slots.acquire().await.ok();
        let begin = Instant::now();
        let ran = Self::run_one(program, args, timeout).await;
        if let Some(watcher) = self.watcher {
            let outcome = match &ran {
                Ok(_) => "ok",
                Err(FfmpegError::TimedOut { .. }) => "timed_out",
                Err(FfmpegError::Missing { .. } | FfmpegError::Start { .. }) => "not_started",
                Err(_) => "failed",
            };
            watcher(self.operation, outcome, begin.elapsed(), self.media);
        }
        ran
    }

    async fn run_one(program: &Path, args: &[OsString], timeout: Duration) -> Result<Vec<u8>, FfmpegError> {
        let name = || program.display().to_string();
        tracing::debug!(program = %program.display(), ?args, "start");
        #[expect(clippy::disallowed_methods, reason = "this is the one place where FFmpeg is started")]
        let mut command = tokio::process::Command::new(program);
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|source| FfmpegError::Start { program: name(), source })?;
        if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()))
            && let Err(error) = setpriority_process(Some(pid), NICENESS)
        {
            tracing::debug!(program = %program.display(), %error, "its priority cannot be lowered");
        }
        let mut stderr = Vec::new();
        let mut stdout = Vec::new();
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let work = async {
            let (printed, complained) =
                tokio::join!(read_bounded(out, &mut stdout), read_tail(err, &mut stderr));
            let complete = printed.and_then(|complete| complained.map(|()| complete));
            let complete = complete.map_err(|source| FfmpegError::Read { program: name(), source })?;
            if !complete {
                return Err(FfmpegError::TooMuchOutput { program: name() });
            }
            child.wait().await.map_err(|source| FfmpegError::Read { program: name(), source })
        };
        let ended = tokio::time::timeout(timeout, work).await;
        let complaint = |stderr: &[u8]| String::from_utf8_lossy(stderr).trim().to_owned();
        match ended {
            Ok(Ok(status)) if status.success() => Ok(stdout),
            Ok(Ok(status)) => {
                Err(FfmpegError::Failed { program: name(), status, stderr: complaint(&stderr) })
            }
            Ok(Err(error)) => {
                // Killed and reaped here, so that nothing still writes when the caller cleans up.
                child.kill().await.ok();
                Err(error)
            }
            Err(_elapsed) => {
                child.kill().await.ok();
                Err(FfmpegError::TimedOut { program: name(), after: timeout, stderr: complaint(&stderr) })
            }
        }
    }
}

/// Reads to the end, or says `false` when there is more than a sane run prints.
async fn read_bounded(from: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) -> std::io::Result<bool> {
    let Some(from) = from else { return Ok(true) };
    from.take(STDOUT_LIMIT as u64 + 1).read_to_end(into).await?;
    Ok(into.len() <= STDOUT_LIMIT)
}

/// Reads to the end and keeps the last few kilobytes: a decoder can complain about every frame of an hour.
async fn read_tail(from: Option<impl AsyncRead + Unpin>, tail: &mut Vec<u8>) -> std::io::Result<()> {
    let Some(mut from) = from else { return Ok(()) };
    let mut chunk = [0_u8; 4096];
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        tail.extend_from_slice(&chunk[..read]);
        if tail.len() > STDERR_TAIL {
            tail.drain(..tail.len() - STDERR_TAIL);
        }
    }
}

fn find(program: &'static str) -> Result<PathBuf, FfmpegError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/bin", "/usr/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .chain(usual)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .ok_or(FfmpegError::Missing { program })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_lets_everybody_else_go_first() {
        let wait = r#"until [ "$(nice)" = 10 ]; do :; done; printf nice"#;
        let args = ["-c", wait].map(OsString::from);
        let said = Ffmpeg::run_one(Path::new("/bin/sh"), &args, Duration::from_secs(60)).await;
        assert_eq!(said.expect("it ends"), b"nice");
    }
}
