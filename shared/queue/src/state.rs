//! The states of a task, and which may follow which.

use serde::{Deserialize, Serialize};

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// May be claimed now.
    Ready,
    /// Waits for its time: enqueued for later, or backing off after a failed attempt.
    Scheduled,
    /// Waits for something outside; it burns no attempt and can be woken.
    Parked,
    /// Waits for other tasks.
    Blocked,
    /// A worker holds its lease.
    Running,
    /// Final: it did what it was for.
    Succeeded,
    /// Final: dead. Kept, listed, and retryable by an admin.
    Failed,
    /// Final: it is not wanted any more.
    Canceled,
}

impl TaskState {
    /// Every state, in the order of the numbers in the database.
    pub const ALL: [Self; 8] = [
        Self::Ready,
        Self::Scheduled,
        Self::Parked,
        Self::Blocked,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Canceled,
    ];

    /// The number that stands for the state in the database.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The state of a number in the database; none for a number that we never write.
    pub fn from_code(code: i16) -> Option<Self> {
        usize::try_from(code).ok().and_then(|code| Self::ALL.get(code).copied())
    }

    /// Whether the task has left the hot table.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }

    /// Whether a task in this state may go to `next`.
    ///
    /// A waiting task fails when its deadline passes. Only a dead or canceled task comes back from a final state, and only because somebody asked for it.
    pub const fn can_become(self, next: Self) -> bool {
        use TaskState::{Blocked, Canceled, Failed, Parked, Ready, Running, Scheduled, Succeeded};
        matches!(
            (self, next),
            (Ready, Running | Scheduled | Failed | Canceled)
                | (Scheduled | Parked, Ready | Failed | Canceled)
                | (Blocked, Ready | Scheduled | Failed | Canceled)
                | (Running, Ready | Scheduled | Parked | Succeeded | Failed | Canceled)
                | (Failed | Canceled, Ready | Blocked)
        )
    }

    /// The word for it in views, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Scheduled => "scheduled",
            Self::Parked => "parked",
            Self::Blocked => "blocked",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_state() -> impl Strategy<Value = TaskState> {
        (0..TaskState::ALL.len()).prop_map(|index| TaskState::ALL[index])
    }

    proptest! {
        #[test]
        fn codes_are_reversible(state in any_state()) {
            prop_assert_eq!(TaskState::from_code(state.code()), Some(state));
        }

        #[test]
        fn no_state_becomes_itself(state in any_state()) {
            prop_assert!(!state.can_become(state));
        }

        #[test]
        fn only_a_running_task_succeeds(state in any_state()) {
            prop_assert_eq!(state.can_become(TaskState::Succeeded), state == TaskState::Running);
        }

        #[test]
        fn every_live_task_can_fail(state in any_state()) {
            prop_assert_eq!(state.can_become(TaskState::Failed), !state.is_final());
        }

        #[test]
        fn every_waiting_task_can_be_canceled(state in any_state()) {
            prop_assert_eq!(state.can_become(TaskState::Canceled), !state.is_final());
        }

        #[test]
        fn only_ready_tasks_run(state in any_state()) {
            prop_assert_eq!(state.can_become(TaskState::Running), state == TaskState::Ready);
        }

        #[test]
        fn a_walk_that_ends_well_stays_there(path in proptest::collection::vec(any_state(), 1..40)) {
            let mut at = TaskState::Blocked;
            for next in path {
                if at.can_become(next) {
                    prop_assert!(at != TaskState::Succeeded);
                    at = next;
                }
            }
        }
    }

    #[test]
    fn numbers_that_we_never_write_are_no_state() {
        assert_eq!(TaskState::from_code(8), None);
        assert_eq!(TaskState::from_code(-1), None);
    }
}
