//! Worker processes as an operator and a bad day see them: listed, killed, restarted.

use crate::system::System;
use crate::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

impl System {
    /// Process ids of the live workers, in no order that means anything.
    pub async fn worker_pids(&self) -> Vec<i32> {
        self.workers()
            .await
            .iter()
            .filter_map(|worker| worker["pid"].as_i64())
            .map(|pid| pid as i32)
            .collect()
    }

    /// Kills a worker with -9. False: it was gone already.
    pub fn kill_worker(&self, pid: i32) -> bool {
        kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok()
    }

    /// Tells a worker to stop as a deployment does, and waits until it is gone and another works in its place.
    pub async fn restart_worker(&self, pid: i32) {
        let before = self.worker_pids().await;
        assert!(before.contains(&pid), "{pid} is no worker: {before:?}");
        kill(Pid::from_raw(pid), Signal::SIGTERM).expect("it can be told to stop");
        wait::until("another worker in the place of one that was told to stop", async || {
            let now = self.worker_pids().await;
            let new = now.iter().any(|now| !before.contains(now));
            (new && !now.contains(&pid)).then_some(())
        })
        .await;
    }

    /// Nothing of this queue is begun from now on, or, without a reason, again.
    #[expect(clippy::disallowed_methods, reason = "an operator's hand in the queue")]
    pub async fn pause(&self, queue: &str, why: Option<&str>) {
        sqlx::query(
            "INSERT INTO queue.queue (name, paused_at, paused_why) VALUES ($1, CASE WHEN $2::text IS NOT NULL THEN now() END, $2)
             ON CONFLICT (name) DO UPDATE SET paused_at = excluded.paused_at, paused_why = excluded.paused_why",
        )
        .bind(queue)
        .bind(why)
        .execute(&self.database().await)
        .await
        .expect("paused or resumed");
    }
}
