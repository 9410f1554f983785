//! Processes of a running system that are no workers, by `running.json`.

use crate::system::System;
use crate::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

impl System {
    /// The process of a service as it is now: `api`, `simulator`, `postgres`.
    pub async fn service_pid(&self, name: &str) -> i32 {
        let file = self.dir.path().join("running.json");
        wait::until(&format!("a process of {name}"), async || {
            let running: Value = serde_json::from_slice(&std::fs::read(&file).ok()?).ok()?;
            running["services"][name].as_i64().and_then(|pid| i32::try_from(pid).ok())
        })
        .await
    }

    /// Sends a signal to the process of a service, and says which that was.
    ///
    /// # Panics
    /// When it has none any more.
    pub async fn signal_service(&self, name: &str, signal: Signal) -> i32 {
        let pid = self.service_pid(name).await;
        kill(Pid::from_raw(pid), signal)
            .unwrap_or_else(|error| panic!("{signal} to {name} ({pid}): {error}"));
        pid
    }
}
