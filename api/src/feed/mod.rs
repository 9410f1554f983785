//! What this process knows of jobs without asking: answers that are kept, and who waits for a change. One listener per process hears of
//! changes, whoever made them. It carries no truth: without it kept answers end by themselves and waiting readers look now and then.

pub mod answers;
pub mod changes;
pub mod listen;
pub mod pulse;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use answers::Answers;
use changes::Changes;
use pulse::Pulse;

/// How old a kept answer may be that nobody vouches for. With the time of a read it stays below the second that is promised.
pub const LIFE: Duration = Duration::from_millis(750);
/// Streams and long polls of one process: each costs some kilobytes and a look now and then.
const MOST_STREAMS: usize = 10_000;

pub struct Feed {
    pub answers: Answers,
    pub changes: Changes,
    /// Room for answers that are held open.
    pub streams: Arc<Semaphore>,
    /// Ends open streams.
    pub closing: CancellationToken,
    pulse: Pulse,
}

impl Feed {
    /// Answers are kept for `life`, and longer while the listener vouches for them.
    pub fn new(life: Duration) -> Self {
        Self {
            answers: Answers::new(life),
            changes: Changes::default(),
            streams: Arc::new(Semaphore::new(MOST_STREAMS)),
            closing: CancellationToken::new(),
            pulse: Pulse::default(),
        }
    }

    /// A job has changed.
    pub fn heard(&self, job: i64) {
        self.answers.forget(job);
        self.changes.wake(job);
    }

    /// Any job may have changed.
    pub fn heard_nothing(&self) {
        self.answers.forget_all();
        self.changes.wake_all();
    }

    /// Everything that was told before `moment` has been heard.
    pub fn vouch(&self, moment: Instant) {
        self.pulse.beat(moment);
    }

    /// Whether a change would have been heard of by now, a second at most ago.
    pub fn is_live(&self) -> bool {
        self.pulse.is_live()
    }

    /// How long a waiting reader waits before it looks by itself.
    pub fn tick(&self) -> Duration {
        if self.is_live() { Duration::from_secs(10) } else { Duration::from_millis(500) }
    }
}
