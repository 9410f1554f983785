//! From what a handler said to what is written: the rules of attempts and delays, without any I/O.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    outcome::{Outcome, ParkUntil},
    retry::RetryPolicy,
    state::TaskState,
};

/// How one run ended, as it stands in the `run` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// The task succeeded.
    Done,
    /// The attempt failed, another follows.
    Retry,
    /// The attempt failed, none follows.
    Failed,
    /// The task was canceled.
    Canceled,
    /// The worker was shut down and gave the task back; no attempt was used.
    HandedBack,
    /// The worker's lease ran out.
    LeaseExpired,
    /// The task's own deadline passed.
    DeadlinePassed,
    /// The run reported after its lease was lost; nothing was changed by it.
    Refused,
    /// The handler panicked or took longer than its timeout; another attempt follows.
    Broken,
}

impl RunOutcome {
    /// The number in the database.
    pub const fn code(self) -> i16 {
        self as i16 + 1
    }

    /// The outcome of a number in the database.
    pub const fn from_code(code: i16) -> Option<Self> {
        Some(match code {
            1 => Self::Done,
            2 => Self::Retry,
            3 => Self::Failed,
            4 => Self::Canceled,
            5 => Self::HandedBack,
            6 => Self::LeaseExpired,
            7 => Self::DeadlinePassed,
            8 => Self::Refused,
            9 => Self::Broken,
            _ => return None,
        })
    }

    /// The word for it in views, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retry => "retry",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::HandedBack => "handed_back",
            Self::LeaseExpired => "lease_expired",
            Self::DeadlinePassed => "deadline_passed",
            Self::Refused => "refused",
            Self::Broken => "broken",
        }
    }
}

/// What is written at the end of a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ending {
    Final {
        state: TaskState,
        output: Option<String>,
        class: Option<String>,
        error: Option<String>,
        why: Option<String>,
    },
    Again(Again),
}

/// The task goes on later.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Again {
    pub(crate) state: TaskState,
    pub(crate) delay: Duration,
    pub(crate) at: Option<DateTime<Utc>>,
    pub(crate) why: Option<String>,
    pub(crate) class: Option<String>,
    pub(crate) error: Option<String>,
    /// None for a park, which leaves no run row.
    pub(crate) outcome: Option<RunOutcome>,
}

impl Again {
    /// Whether the attempt counts.
    pub(crate) fn counted(&self) -> bool {
        !matches!(self.outcome, None | Some(RunOutcome::HandedBack))
    }
}

/// How a run ended, seen from the outside of the handler.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum End {
    Said(Outcome),
    Broken { class: &'static str, error: String },
    HandBack,
}

/// The attempt that ends, and what the policy says of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) number: u16,
    pub(crate) max: u16,
    pub(crate) policy: RetryPolicy,
}

impl Ending {
    /// `chance` in `0.0..1.0` spreads the delay.
    pub(crate) fn of(end: End, attempt: Attempt, chance: f64) -> Self {
        match end {
            End::Said(Outcome::Done(output)) => Self::Final {
                state: TaskState::Succeeded,
                output: (!output.is_null()).then(|| output.to_string()),
                class: None,
                error: None,
                why: None,
            },
            End::Said(Outcome::Cancel { why }) => Self::Final {
                state: TaskState::Canceled,
                output: None,
                class: None,
                error: None,
                why: Some(writable(why)),
            },
            End::Said(Outcome::Fail { class, error }) => failed(class, error),
            End::Said(Outcome::Retry { after, class, error }) => {
                retry(RunOutcome::Retry, after, class, error, attempt, chance)
            }
            End::Broken { class, error } => {
                retry(RunOutcome::Broken, None, class.to_owned(), error, attempt, chance)
            }
            End::Said(Outcome::Park { until, why }) => {
                let (delay, at) = match until {
                    ParkUntil::In(delay) => (delay, None),
                    ParkUntil::At(at) => (Duration::ZERO, Some(at)),
                };
                Self::Again(Again {
                    state: TaskState::Parked,
                    delay,
                    at,
                    why: Some(writable(why)),
                    class: None,
                    error: None,
                    outcome: None,
                })
            }
            End::HandBack => Self::Again(Again {
                state: TaskState::Ready,
                delay: Duration::ZERO,
                at: None,
                why: None,
                class: None,
                error: None,
                outcome: Some(RunOutcome::HandedBack),
            }),
        }
    }

    /// Instead of an ending that the database refuses.
    pub(crate) fn unrecordable(word: &str, error: &str) -> Self {
        failed("unrecordable".to_owned(), format!("its outcome ({word}) cannot be recorded: {error}"))
    }

    /// The word for it in metrics.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Final { state, .. } => state.as_str(),
            Self::Again(Again { outcome: Some(outcome), .. }) => outcome.as_str(),
            Self::Again(_) => "parked",
        }
    }
}

/// No database takes a NUL, and an ending that cannot be written would be tried for ever.
pub(crate) fn writable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

fn failed(class: String, error: String) -> Ending {
    let (class, error) = (writable(class), writable(error));
    Ending::Final {
        state: TaskState::Failed,
        output: None,
        class: Some(class),
        error: Some(error),
        why: None,
    }
}

fn retry(
    outcome: RunOutcome,
    after: Option<Duration>,
    class: String,
    error: String,
    attempt: Attempt,
    chance: f64,
) -> Ending {
    if attempt.number >= attempt.max {
        return failed(class, error);
    }
    Ending::Again(Again {
        state: TaskState::Scheduled,
        delay: after.unwrap_or_else(|| attempt.policy.delay_with_jitter(attempt.number, chance)),
        at: None,
        why: None,
        class: Some(writable(class)),
        error: Some(writable(error)),
        outcome: Some(outcome),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attempt(number: u16, max: u16) -> Attempt {
        Attempt { number, max, policy: RetryPolicy::DEFAULT }
    }

    fn any_end() -> impl Strategy<Value = End> {
        prop_oneof![
            Just(End::Said(Outcome::done())),
            Just(End::Said(Outcome::Retry { after: None, class: "c".into(), error: "e".into() })),
            Just(End::Said(Outcome::park_in(Duration::from_secs(1), "w"))),
            Just(End::Said(Outcome::Cancel { why: "w".into() })),
            Just(End::Said(Outcome::Fail { class: "c".into(), error: "e".into() })),
            Just(End::Broken { class: "timeout", error: "e".into() }),
            Just(End::HandBack),
        ]
    }

    proptest! {
        #[test]
        fn a_running_task_may_become_what_is_written(end in any_end(), number in 1u16..9, max in 1u16..9, chance in 0.0f64..1.0) {
            let state = match Ending::of(end, attempt(number, max), chance) {
                Ending::Final { state, .. } => state,
                Ending::Again(again) => again.state,
            };
            prop_assert!(TaskState::Running.can_become(state));
        }

        #[test]
        fn the_last_attempt_is_never_repeated(max in 1u16..9, over in 0u16..3, chance in 0.0f64..1.0) {
            let end = End::Broken { class: "panic", error: "e".into() };
            let ending = Ending::of(end, attempt(max + over, max), chance);
            prop_assert!(matches!(ending, Ending::Final { state: TaskState::Failed, .. }), "{:?}", ending);
        }

        #[test]
        fn only_parks_and_hand_backs_cost_no_attempt(end in any_end()) {
            let free = matches!(end, End::HandBack | End::Said(Outcome::Park { .. }));
            if let Ending::Again(again) = Ending::of(end, attempt(1, 5), 0.5) {
                prop_assert_eq!(again.counted(), !free);
            }
        }
    }

    #[test]
    fn outcome_codes_are_reversible() {
        for code in 1..=9 {
            assert_eq!(RunOutcome::from_code(code).map(RunOutcome::code), Some(code));
        }
        assert_eq!(RunOutcome::from_code(0), None);
        assert_eq!(RunOutcome::from_code(10), None);
    }
}
