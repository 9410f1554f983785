//! The small process between a supervisor and its Postgres (`spool postgres keep`, hidden).
//!
//! A postmaster does not watch for the death of whoever started it, so this process does: when its standard input
//! ends, or on SIGTERM, it stops Postgres cleanly. When Postgres ends by itself, the keeper ends too and is started
//! again by its supervisor.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use tokio_util::sync::CancellationToken;

use crate::supervisor::process::{ProcessError, Program, RunAs, Running, raw_pid};
use crate::supervisor::strays::is_alive;

/// How long each way to stop may take before the next: end sessions, then quit without a checkpoint.
const STOP_STEPS: [(Signal, Duration); 2] =
    [(Signal::SIGINT, Duration::from_secs(30)), (Signal::SIGQUIT, Duration::from_secs(10))];
const POLL: Duration = Duration::from_millis(20);

/// What the supervisor tells its keeper.
#[derive(Debug, clap::Args)]
pub(crate) struct Keep {
    /// Folder of the program `postgres`.
    #[arg(long)]
    binaries: PathBuf,
    /// Folder that holds the cluster's `data`.
    #[arg(long)]
    home: PathBuf,
    #[arg(long)]
    port: u16,
    /// User to run as, when we are root.
    #[arg(long, requires = "gid")]
    uid: Option<u32>,
    #[arg(long, requires = "uid")]
    gid: Option<u32>,
    /// `name=value` for `postgres -c`.
    #[arg(long = "setting")]
    settings: Vec<String>,
    /// Delete the home and this folder at the end.
    #[arg(long)]
    remove: Option<PathBuf>,
}

/// Postgres ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeeperError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("Postgres ended by itself with {0}")]
    Ended(String),
    #[error("cannot delete {}", path.display())]
    Remove { path: PathBuf, source: std::io::Error },
}

/// Runs Postgres until `stop`, or until it ends by itself, which is an error.
pub(crate) async fn keep(keep: &Keep, stop: CancellationToken) -> Result<(), KeeperError> {
    let data = keep.home.join("data");
    if let Some(pid) = leftover(&data) {
        tracing::warn!(pid, "a Postgres of an earlier run still uses this cluster: stopping it first");
        stop_leftover(pid).await;
    }
    let run_as = keep.uid.zip(keep.gid).map(|(uid, gid)| RunAs { uid, gid });
    let mut postgres = Program::new(keep.binaries.join("postgres"))
        .arg("-D")
        .arg(&data)
        .args(["-p", &keep.port.to_string()])
        .in_folder(&keep.home)
        .run_as(run_as);
    for setting in &keep.settings {
        postgres = postgres.args(["-c", setting]);
    }
    let mut running = postgres.start_kept()?;
    let ended = tokio::select! {
        status = running.wait() => Some(status),
        () = stop.cancelled() => None,
    };
    if let Some(status) = ended {
        return Err(KeeperError::Ended(status));
    }
    stop_ours(&mut running).await;
    let Some(folder) = &keep.remove else { return Ok(()) };
    for path in [&keep.home, folder] {
        match std::fs::remove_dir_all(path) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                return Err(KeeperError::Remove { path: path.clone(), source });
            }
            _ => {}
        }
    }
    Ok(())
}

async fn stop_ours(running: &mut Running) {
    for (signal, patience) in STOP_STEPS {
        running.signal(signal);
        if tokio::time::timeout(patience, running.wait()).await.is_ok() {
            return;
        }
    }
    running.stop(Duration::ZERO).await;
}

/// The postmaster that runs on this cluster, if one does: a supervisor and its keeper were both killed.
fn leftover(data: &Path) -> Option<u32> {
    let noted = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let mut lines = noted.lines();
    let pid: u32 = lines.next()?.trim().parse().ok()?;
    let same_cluster = Path::new(lines.next()?.trim()) == data;
    // The number may long belong to another program.
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
    let is_postgres = name.map_or(true, |name| name.trim().starts_with("postgres"));
    (same_cluster && is_postgres && is_alive(pid)).then_some(pid)
}

async fn stop_leftover(pid: u32) {
    for (signal, patience) in STOP_STEPS {
        let _ = kill(raw_pid(pid), signal);
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if !is_alive(pid) {
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    }
    let _ = kill(raw_pid(pid), Signal::SIGKILL);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_living_postgres_on_this_very_cluster_is_a_leftover() {
        let folder = tempfile::tempdir().unwrap();
        let note = |text: &str| std::fs::write(folder.path().join("postmaster.pid"), text).unwrap();
        assert_eq!(leftover(folder.path()), None);
        note("not a number\n");
        assert_eq!(leftover(folder.path()), None);
        // We live, on this cluster, but are no Postgres.
        note(&format!("{}\n{}\n0\n5432\n", std::process::id(), folder.path().display()));
        assert_eq!(leftover(folder.path()), None);
        note(&format!("{}\n{}\n", i32::MAX, folder.path().display()));
        assert_eq!(leftover(folder.path()), None);
    }
}
