//! Children of children that outlived their parent, an FFmpeg whose worker was killed with -9 among them.
//!
//! On Linux the supervisor is a subreaper: such a process becomes its child, is found in `/proc`, killed and
//! reaped. Elsewhere the system's init takes it, and it ends when its work does.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};

use super::process::raw_pid;

/// Children that we started ourselves and that somebody waits for.
static KNOWN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn known() -> MutexGuard<'static, BTreeSet<u32>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a child and notes it in one step, so that [`sweep`] never takes a new child for a stray.
pub(super) fn spawn_known(
    spawn: impl FnOnce() -> std::io::Result<tokio::process::Child>,
) -> std::io::Result<tokio::process::Child> {
    let mut known = known();
    let child = spawn()?;
    known.extend(child.id());
    Ok(child)
}

/// A child of ours has been waited for: its number may come again.
pub(super) fn forget(pid: Option<u32>) {
    if let Some(pid) = pid {
        known().remove(&pid);
    }
}

/// From now on orphans among our descendants become our children.
pub(crate) fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_child_subreaper(true) {
        tracing::debug!(%error, "orphans will go to init");
    }
}

/// Kills and reaps every stray, but leaves a Postgres alone: its keeper stops it in its own way.
pub(crate) fn sweep() {
    let known = known();
    for stray in children().into_iter().filter(|child| !known.contains(&child.pid)) {
        if !stray.dead && stray.name != "postgres" {
            tracing::info!(pid = stray.pid, program = stray.name, "killed: its parent is gone");
            let _ = kill(raw_pid(stray.pid), Signal::SIGKILL);
        }
        let _ = waitpid(raw_pid(stray.pid), Some(WaitPidFlag::WNOHANG));
    }
}

/// The end of a supervisor: gives every child that is left `grace` to go, then kills until none is left.
pub(crate) async fn clear(grace: Duration) {
    let deadline = Instant::now() + grace;
    loop {
        let left = children();
        for child in &left {
            if !child.dead && Instant::now() >= deadline {
                let _ = kill(raw_pid(child.pid), Signal::SIGKILL);
            }
            let _ = waitpid(raw_pid(child.pid), Some(WaitPidFlag::WNOHANG));
        }
        if left.is_empty() || Instant::now() >= deadline + grace {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

struct ChildEntry {
    pid: u32,
    name: String,
    /// Ended, waiting to be reaped.
    dead: bool,
}

/// Our children as `/proc` lists them; none where there is no `/proc`.
fn children() -> Vec<ChildEntry> {
    let ours = std::process::id();
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let (name, state, parent) = parse_stat(&stat)?;
            (parent == ours).then(|| ChildEntry { pid, name: name.to_owned(), dead: state == "Z" })
        })
        .collect()
}

/// Name, state and parent from a line of `/proc/*/stat`; a name may hold spaces and brackets.
fn parse_stat(stat: &str) -> Option<(&str, &str, u32)> {
    let (head, tail) = stat.rsplit_once(") ")?;
    let (_, name) = head.split_once(" (")?;
    let mut fields = tail.split(' ');
    Some((name, fields.next()?, fields.next()?.parse().ok()?))
}

/// Whether a process of this number runs; one that has ended and was not reaped does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    if kill(raw_pid(pid), None) == Err(nix::errno::Errno::ESRCH) {
        return false;
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    parse_stat(&stat).is_none_or(|(_, state, _)| state != "Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines_are_read_whatever_the_name() {
        assert_eq!(parse_stat("12 (ffmpeg) S 34 12 12 0"), Some(("ffmpeg", "S", 34)));
        assert_eq!(parse_stat("12 (a) (b c) Z 1 0"), Some(("a) (b c", "Z", 1)));
        assert_eq!(parse_stat("nonsense"), None);
    }

    #[test]
    fn we_live_and_nobody_has_the_highest_number() {
        assert!(is_alive(std::process::id()));
        assert!(!is_alive(i32::MAX as u32));
    }
}
