//! What stands before every paid call: the pause a provider asked for, shared by all workers through
//! Postgres, and this process's own request rate.

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use spool_db::error::DbError;
use spool_db::limits;
use sqlx::PgConnection;
use std::num::NonZeroU32;
use std::time::Duration;

/// Why a call may not be made yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotYet {
    /// How long to stay away.
    pub(crate) wait: Duration,
    /// For people.
    pub(crate) why: String,
}

/// The gate.
#[derive(Debug)]
pub(crate) struct Limits {
    creates: DefaultDirectRateLimiter,
    clock: DefaultClock,
}

impl Limits {
    /// At most `creates_per_minute` paid calls from this process, smoothed.
    pub(crate) fn new(creates_per_minute: NonZeroU32) -> Self {
        let burst = NonZeroU32::MIN.saturating_add(creates_per_minute.get() / 60);
        Self {
            creates: RateLimiter::direct(Quota::per_minute(creates_per_minute).allow_burst(burst)),
            clock: DefaultClock::default(),
        }
    }

    /// Takes one paid call, or says how long to wait. Waiting is the queue's work: nobody sleeps here.
    pub(crate) async fn acquire(
        &self,
        conn: &mut PgConnection,
        provider: &str,
        model: &str,
    ) -> Result<Result<(), NotYet>, DbError> {
        if let Some(pause) = limits::pause_of(conn, provider, model).await? {
            return Ok(Err(NotYet {
                wait: pause.wait,
                why: format!("{provider} is paused: {}", pause.reason),
            }));
        }
        Ok(self.creates.check().map_err(|not_until| NotYet {
            wait: not_until.wait_time_from(self.clock.now()),
            why: format!("request rate of {provider}"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_bounded_and_says_how_long_to_wait() {
        let limits = Limits::new(NonZeroU32::new(60).unwrap());
        let granted = (0..10).filter(|_| limits.creates.check().is_ok()).count();
        assert_eq!(granted, 2, "one a second and one more at once");
    }
}
