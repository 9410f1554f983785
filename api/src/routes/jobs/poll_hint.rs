//! How long a poller may wait before it asks again: short where things move fast, long where a person or a
//! provider takes their time.

use spool_job::state::JobState;

/// Seconds for `retry-after`; `None` when nothing more will happen.
pub fn seconds(state: JobState, stage: &str) -> Option<u8> {
    match state {
        JobState::Completed | JobState::Failed | JobState::Canceled => None,
        JobState::Planning | JobState::Approved => Some(2),
        // Waits for a person.
        JobState::Pending => Some(10),
        JobState::Processing => match stage {
            "rendering" => Some(5),
            _ => Some(2),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_live_jobs_are_polled() {
        for state in JobState::ALL {
            assert_eq!(seconds(*state, "rendering").is_none(), state.is_final(), "{state}");
        }
        assert_eq!(seconds(JobState::Processing, "rendering"), Some(5));
        assert_eq!(seconds(JobState::Processing, "mixing_audio"), Some(2));
    }
}
