//! The simulator's clock: the machine's, moved forward on request, so that an hour of retention can pass in a
//! test. What is signed (webhook timestamps) uses the machine's own time, which the receiver compares with.

use chrono::{DateTime, TimeDelta, Utc};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;

/// The machine's time plus what was added.
pub(crate) struct SimClock {
    ahead: watch::Sender<TimeDelta>,
    path: PathBuf,
}

impl SimClock {
    /// Reads how far ahead it was before a restart.
    pub(crate) fn open(path: PathBuf) -> Self {
        let seconds =
            std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        Self { ahead: watch::Sender::new(TimeDelta::seconds(seconds)), path }
    }

    /// The simulated time.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        machine_time() + *self.ahead.borrow()
    }

    /// Moves forward; everything that waits is told.
    pub(crate) fn advance(&self, seconds: u32) -> std::io::Result<()> {
        self.ahead.send_modify(|ahead| *ahead += TimeDelta::seconds(i64::from(seconds)));
        std::fs::write(&self.path, self.ahead.borrow().num_seconds().to_string())
    }

    /// Waits for a moment, also when the clock is moved meanwhile.
    pub(crate) async fn sleep_until(&self, at: DateTime<Utc>) {
        let mut moved = self.ahead.subscribe();
        loop {
            let Ok(left) = (at - self.now()).to_std() else { return };
            if left.is_zero() {
                return;
            }
            tokio::select! {
                // Rounded up: a timer that fires a little early would spin.
                () = tokio::time::sleep(left + Duration::from_millis(1)) => {}
                _ = moved.changed() => {}
            }
        }
    }
}

/// The machine's time.
#[expect(clippy::disallowed_methods, reason = "the one place where the simulator reads the machine's clock")]
pub(crate) fn machine_time() -> DateTime<Utc> {
    Utc::now()
}
