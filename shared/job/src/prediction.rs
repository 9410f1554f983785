//! The states of a paid call, and what it is for.

use crate::state::text_enum;

text_enum! {
    /// Where a prediction stands.
    PredictionState {
        /// Written and committed; no byte has gone out, or nobody knows yet.
        Intent = "intent",
        /// The provider has it and we know its id.
        Submitted = "submitted",
        /// The provider said no; nothing was created.
        Refused = "refused",
        /// The answer was lost: it may exist. Never posted again, only looked for.
        Unknown = "unknown",
        /// Looked for thoroughly and not there: nothing was bought.
        Void = "void",
        /// Could not be settled in time; a late webhook or an admin decides.
        InDoubt = "in_doubt",
        /// It has an output.
        Succeeded = "succeeded",
        /// The provider gave up on it.
        Failed = "failed",
        /// Called off, by us or by the provider.
        Canceled = "canceled",
        /// Its deadline passed before it started.
        Aborted = "aborted",
    }
}

impl PredictionState {
    /// Nothing more will happen to it.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Refused | Self::Void | Self::Succeeded | Self::Failed | Self::Canceled | Self::Aborted
        )
    }

    /// While one of these stands, no second prediction of the same purpose may be bought.
    pub const fn blocks_another(self) -> bool {
        matches!(self, Self::Intent | Self::Submitted | Self::Unknown | Self::InDoubt | Self::Succeeded)
    }

    /// Whether `next` may follow.
    pub const fn can_become(self, next: Self) -> bool {
        use PredictionState::{
            Aborted, Canceled, Failed, InDoubt, Intent, Refused, Submitted, Succeeded, Unknown, Void,
        };
        matches!(
            (self, next),
            (Intent, Submitted | Refused | Unknown)
                | (Unknown, Submitted | Void | InDoubt)
                | (InDoubt, Submitted | Void)
                | (Submitted, Succeeded | Failed | Canceled | Aborted)
        )
    }
}

text_enum! {
    /// What a paid call is for.
    Purpose {
        /// A scene's clip.
        Render = "render",
        /// A stretch of the soundtrack.
        Music = "music",
        /// A still.
        Image = "image",
        /// Spoken words.
        Voice = "voice",
        /// A storyboard by a language model.
        Plan = "plan",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_state() -> impl Strategy<Value = PredictionState> {
        proptest::sample::select(PredictionState::ALL)
    }

    proptest! {
        #[test]
        fn final_is_final(from in any_state(), to in any_state()) {
            prop_assert!(!(from.is_final() && from.can_become(to)));
        }

        #[test]
        fn money_can_only_follow_a_known_id(from in any_state()) {
            for paid in [PredictionState::Succeeded, PredictionState::Failed, PredictionState::Canceled] {
                prop_assert_eq!(from.can_become(paid), from == PredictionState::Submitted);
            }
        }

        #[test]
        fn what_may_exist_blocks_another(state in any_state()) {
            let may_hold_money = !matches!(state, PredictionState::Refused | PredictionState::Void
                | PredictionState::Failed | PredictionState::Canceled | PredictionState::Aborted);
            prop_assert_eq!(state.blocks_another(), may_hold_money);
        }
    }
}
