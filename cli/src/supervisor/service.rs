//! One program that shall run: started, and started again with growing pauses whenever it ends by itself.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::process::{ProcessError, Program, Running};
use super::strays;

/// Pauses before the first, second, … start in a row; the last one repeats.
const PAUSES_MS: [u64; 5] = [100, 500, 1_000, 2_000, 5_000];
/// A program that lived this long starts again with the first pause.
const STABLE: Duration = Duration::from_secs(10);
/// The longest wait for a program to say that it is ready.
pub(crate) const READY_LIMIT: Duration = Duration::from_secs(60);

/// What a service is called, where it logs, how long it may take to stop.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) program: Program,
    pub(crate) log: PathBuf,
    /// It prints a line of JSON when it is ready; otherwise it counts as ready once started.
    pub(crate) announces: bool,
    /// From SIGTERM to SIGKILL.
    pub(crate) grace: Duration,
}

/// A running service. Dropping it asks its process to stop and does not wait; [`Service::stop`] waits.
#[derive(Debug)]
pub(crate) struct Service {
    name: String,
    announced: Value,
    pid: watch::Receiver<Option<u32>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Service {
    /// Starts the program and waits until it is ready; from then on it is kept running.
    pub(crate) async fn start(plan: Plan) -> Result<Self, ProcessError> {
        let mut running = plan.program.start(&plan.log)?;
        let announced = if plan.announces { running.announcement(READY_LIMIT).await? } else { Value::Null };
        let (pid_sender, pid) = watch::channel(running.pid());
        let stop = CancellationToken::new();
        let name = plan.name.clone();
        let task = tokio::spawn(keep(plan, running, stop.clone(), pid_sender));
        Ok(Self { name, announced, pid, stop, task })
    }

    /// The line it announced itself with at its first start.
    pub(crate) fn announced(&self) -> &Value {
        &self.announced
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its process now; `None` between an end and the next start.
    pub(crate) fn pid(&self) -> Option<u32> {
        *self.pid.borrow()
    }

    /// Changes whenever a process starts or ends.
    pub(crate) fn pids(&self) -> watch::Receiver<Option<u32>> {
        self.pid.clone()
    }

    /// Stops it for good and waits until its process is gone.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn keep(plan: Plan, first: Running, stop: CancellationToken, pid: watch::Sender<Option<u32>>) {
    let mut running = first;
    let mut starts = 0;
    loop {
        let since = Instant::now();
        let status = tokio::select! {
            status = running.wait() => status,
            () = stop.cancelled() => {
                running.stop(plan.grace).await;
                pid.send_replace(None);
                return;
            }
        };
        pid.send_replace(None);
        strays::sweep();
        if since.elapsed() >= STABLE {
            starts = 0;
        }
        tracing::warn!(service = plan.name, status, file = %plan.log.display(), "ended by itself: starting it again");
        match start_again(&plan, &mut starts, &stop).await {
            Some(next) => running = next,
            None => return,
        }
        pid.send_replace(running.pid());
        if plan.announces {
            let ready = tokio::select! {
                ready = running.announcement(READY_LIMIT) => ready,
                () = stop.cancelled() => continue,
            };
            match ready {
                Ok(_) => tracing::info!(service = plan.name, pid = running.pid(), "runs again"),
                Err(error) => tracing::warn!(service = plan.name, %error, "is not ready"),
            }
        }
    }
}

/// Pauses, then starts; repeats until a process exists. `None` once the service is stopped.
async fn start_again(plan: &Plan, starts: &mut usize, stop: &CancellationToken) -> Option<Running> {
    loop {
        let pause = PAUSES_MS[(*starts).min(PAUSES_MS.len() - 1)];
        *starts += 1;
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(pause)) => {}
            () = stop.cancelled() => return None,
        }
        match plan.program.start(&plan.log) {
            Ok(running) => return Some(running),
            Err(error) => tracing::warn!(service = plan.name, %error, "cannot be started"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::{Signal, kill};

    #[tokio::test]
    async fn a_service_that_is_killed_runs_again_and_stops_when_told() {
        let folder = tempfile::tempdir().unwrap();
        let service = Service::start(Plan {
            name: "echo".to_owned(),
            program: Program::new("/bin/sh").arg("-c").arg("echo '{\"n\":1}'; exec cat"),
            log: folder.path().join("echo.log"),
            announces: true,
            grace: Duration::from_secs(30),
        })
        .await
        .unwrap();
        assert_eq!(service.announced()["n"], 1);
        let first = service.pid().unwrap();
        let mut pids = service.pids();
        kill(super::super::process::raw_pid(first), Signal::SIGKILL).unwrap();
        let second = pids.wait_for(|pid| pid.is_some_and(|pid| pid != first)).await.unwrap().unwrap();
        service.stop().await;
        assert!(!strays::is_alive(first) && !strays::is_alive(second));
    }
}
