//! Token buckets: how many requests the account may make.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A bucket that fills steadily.
pub(crate) struct Bucket {
    /// Most it can hold.
    burst: f64,
    per_second: f64,
    state: Mutex<(f64, Instant)>,
}

/// What a bucket says to a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Answer {
    /// Go ahead; so many are left.
    Go { left: u64 },
    /// Come back after this time.
    Wait(Duration),
}

impl Bucket {
    /// Fills with `per_minute` a minute and holds `burst`.
    pub(crate) fn new(per_minute: u32, burst: u32, now: Instant) -> Self {
        let burst = f64::from(burst.max(1));
        Self { burst, per_second: f64::from(per_minute.max(1)) / 60.0, state: Mutex::new((burst, now)) }
    }

    /// Takes one.
    pub(crate) fn take(&self, now: Instant) -> Answer {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let filled = (state.0 + now.saturating_duration_since(state.1).as_secs_f64() * self.per_second)
            .min(self.burst);
        if filled < 1.0 {
            *state = (filled, now);
            return Answer::Wait(Duration::from_secs_f64((1.0 - filled) / self.per_second));
        }
        *state = (filled - 1.0, now);
        Answer::Go { left: (filled - 1.0) as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_steady_rate() {
        let start = Instant::now();
        let bucket = Bucket::new(60, 2, start);
        assert_eq!(bucket.take(start), Answer::Go { left: 1 });
        assert_eq!(bucket.take(start), Answer::Go { left: 0 });
        assert_eq!(bucket.take(start), Answer::Wait(Duration::from_secs(1)));
        assert_eq!(bucket.take(start + Duration::from_secs(1)), Answer::Go { left: 0 });
    }
}
