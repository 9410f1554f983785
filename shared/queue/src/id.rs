//! The numbers of the queue: tasks, leases and workers.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<i64> for $name {
            fn from(number: i64) -> Self {
                Self(number)
            }
        }
    };
}

number!(
    /// One task. The number stays the same when a task leaves the hot table, and when it comes back by a retry.
    TaskId
);
number!(
    /// The fence: one per claim, from one sequence, so it only grows. Every write of a run is guarded by it.
    LeaseToken
);
number!(
    /// One process start of a worker. A restarted worker is another worker, also under the same name.
    WorkerId
);
