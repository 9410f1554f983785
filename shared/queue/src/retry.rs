//! How often and how late a failed attempt is repeated.

use std::time::Duration;

/// Attempts and delays of a kind. The delay is persisted, so it survives a restart of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    max_attempts: u16,
    delays: &'static [u64],
}

impl RetryPolicy {
    /// 4 attempts with 5, 15 and 45 seconds between them.
    pub const DEFAULT: Self = Self::new(4, &[5, 15, 45]);
    /// One attempt.
    pub const NEVER: Self = Self::new(1, &[]);

    /// `max_attempts` counts the first one too (0 is taken as 1). `delays` are seconds after the 1st, 2nd, … failure; the last one repeats.
    pub const fn new(max_attempts: u16, delays: &'static [u64]) -> Self {
        Self { max_attempts: if max_attempts == 0 { 1 } else { max_attempts }, delays }
    }

    /// How many attempts a task has, the first one included.
    pub const fn max_attempts(&self) -> u16 {
        self.max_attempts
    }

    /// The delay after failed attempt number `attempt` (from 1), without jitter.
    pub fn delay(&self, attempt: u16) -> Duration {
        let index = usize::from(attempt.max(1)) - 1;
        let seconds = self.delays.get(index).or(self.delays.last()).copied().unwrap_or(0);
        Duration::from_secs(seconds)
    }

    /// The delay spread by up to a fifth either way, so that tasks that failed together do not come back together.
    ///
    /// `chance` is in `0.0..1.0`.
    pub fn delay_with_jitter(&self, attempt: u16, chance: f64) -> Duration {
        self.delay(attempt).mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0))
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_delay_repeats() {
        let policy = RetryPolicy::new(9, &[5, 15, 45]);
        let seconds: Vec<u64> = (1..=5).map(|attempt| policy.delay(attempt).as_secs()).collect();
        assert_eq!(seconds, [5, 15, 45, 45, 45]);
        assert_eq!(RetryPolicy::NEVER.delay(1), Duration::ZERO);
        assert_eq!(RetryPolicy::new(0, &[]).max_attempts(), 1);
    }

    proptest! {
        #[test]
        fn jitter_stays_within_a_fifth(attempt in 0u16..2000, chance in 0.0f64..1.0) {
            let plain = RetryPolicy::DEFAULT.delay(attempt).as_secs_f64();
            let spread = RetryPolicy::DEFAULT.delay_with_jitter(attempt, chance).as_secs_f64();
            prop_assert!(spread >= plain * 0.799 && spread <= plain * 1.201);
        }
    }
}
