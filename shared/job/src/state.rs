//! The states of a job and of a scene, and which may follow which.

macro_rules! text_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$vmeta])* #[serde(rename = $text)] $variant),+
        }
        impl $name {
            /// Every value, in the order of a life.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The name used in the database, in JSON and in logs.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl std::str::FromStr for $name {
            type Err = $crate::state::UnknownName;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::state::UnknownName { what: stringify!($name), name: text.to_owned() }),
                }
            }
        }
    };
}
pub(crate) use text_enum;

/// A name that is none of an enum's values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a {what}")]
pub struct UnknownName {
    /// The enum.
    pub what: &'static str,
    /// What was given.
    pub name: String,
}

text_enum! {
    /// Where a job stands.
    JobState {
        /// A language model writes the storyboard.
        Planning = "planning",
        /// The storyboard stands; nothing is spent before somebody approves it.
        Pending = "pending",
        /// Approved; its tasks are in the queue.
        Approved = "approved",
        /// At least one task has begun.
        Processing = "processing",
        /// The video is stored and verified.
        Completed = "completed",
        /// It ended without a video; what was bought is kept.
        Failed = "failed",
        /// Somebody called it off.
        Canceled = "canceled",
    }
}

impl JobState {
    /// No task of the job runs any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Canceled)
    }

    /// Whether `next` may follow within one revision.
    pub const fn can_become(self, next: Self) -> bool {
        use JobState::{Approved, Canceled, Completed, Failed, Pending, Planning, Processing};
        matches!(
            (self, next),
            (Planning, Pending)
                | (Pending, Approved)
                | (Approved, Processing)
                | (Processing, Completed)
                | (Planning | Pending | Approved | Processing, Failed | Canceled)
        )
    }

    /// Whether a new revision of a job in this state may be approved (retry, regenerate).
    pub const fn can_reopen(self) -> bool {
        self.is_final()
    }
}

text_enum! {
    /// Where a scene stands.
    SceneState {
        /// Nothing bought yet.
        Pending = "pending",
        /// Its clip is being made or fetched.
        Processing = "processing",
        /// Its clip is stored.
        Completed = "completed",
        /// No clip; the error says why.
        Failed = "failed",
    }
}

impl SceneState {
    /// Whether `next` may follow within one version of the scene.
    pub const fn can_become(self, next: Self) -> bool {
        use SceneState::{Completed, Failed, Pending, Processing};
        matches!(
            (self, next),
            (Pending, Processing | Failed) | (Processing, Completed | Failed) | (Failed, Processing)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_state() -> impl Strategy<Value = JobState> {
        proptest::sample::select(JobState::ALL)
    }

    proptest! {
        #[test]
        fn final_states_are_left_only_by_a_new_revision(from in any_state(), to in any_state()) {
            if from.is_final() {
                prop_assert!(!from.can_become(to));
                prop_assert!(from.can_reopen());
            } else {
                prop_assert!(from.can_become(JobState::Failed) && from.can_become(JobState::Canceled));
            }
        }

        #[test]
        fn no_path_returns(path in proptest::collection::vec(any_state(), 1..12)) {
            let mut seen = vec![path[0]];
            for next in &path[1..] {
                let last = seen[seen.len() - 1];
                if last.can_become(*next) {
                    prop_assert!(!seen.contains(next), "{last} -> {next} closes a circle");
                    seen.push(*next);
                }
            }
        }

        #[test]
        fn nothing_completes_without_processing(from in any_state()) {
            prop_assert_eq!(from.can_become(JobState::Completed), from == JobState::Processing);
        }
    }

    #[test]
    fn names_round_trip() {
        for state in JobState::ALL {
            assert_eq!(state.as_str().parse::<JobState>().as_ref(), Ok(state));
        }
        assert_eq!("done".parse::<JobState>().unwrap_err().to_string(), r#""done" is not a JobState"#);
    }
}
