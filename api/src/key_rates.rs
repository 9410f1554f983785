//! How many requests a minute one key may make. Counted in this process: with several, each takes as many.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// The rates of all keys that were seen. Only keys that exist come here, so it stays small.
#[derive(Debug, Default)]
pub struct KeyRates {
    /// For keys without a rate of their own; none: they are not limited.
    usual: Option<NonZeroU32>,
    seen: Mutex<HashMap<String, Seen>>,
}

#[derive(Debug)]
struct Seen {
    per_minute: NonZeroU32,
    limiter: Arc<DefaultDirectRateLimiter>,
}

impl KeyRates {
    /// `usual` requests a minute for keys without a rate of their own; 0 limits none of them.
    pub fn new(usual: u32) -> Self {
        Self { usual: NonZeroU32::new(usual), seen: Mutex::default() }
    }

    /// Takes one request of the key: as many at once as its rate, which then come back evenly.
    ///
    /// # Errors
    /// How long to wait for the next one.
    pub fn take(&self, key: &str, own: Option<NonZeroU32>) -> Result<(), Duration> {
        let Some(per_minute) = own.or(self.usual) else { return Ok(()) };
        let limiter = self.limiter(key, per_minute);
        limiter.check().map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }

    /// A rate that was changed begins anew.
    fn limiter(&self, key: &str, per_minute: NonZeroU32) -> Arc<DefaultDirectRateLimiter> {
        let fresh =
            || Seen { per_minute, limiter: Arc::new(RateLimiter::direct(Quota::per_minute(per_minute))) };
        // Nothing panics while it is held.
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = seen.get_mut(key) {
            if known.per_minute != per_minute {
                *known = fresh();
            }
            return Arc::clone(&known.limiter);
        }
        Arc::clone(&seen.entry(key.to_owned()).or_insert_with(fresh).limiter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_rate() {
        let rates = KeyRates::new(2);
        let one = NonZeroU32::new(1);
        assert!(rates.take("a", None).is_ok() && rates.take("a", None).is_ok());
        let wait = rates.take("a", None).expect_err("two were its minute");
        assert!(wait <= Duration::from_secs(60), "{wait:?}");
        assert!(rates.take("b", one).is_ok(), "another key is not held up");
        assert!(rates.take("b", one).is_err(), "its own rate goes before the usual one");
        assert!(rates.take("b", NonZeroU32::new(5)).is_ok(), "a changed rate holds at once");
        let free = KeyRates::new(0);
        assert!((0..1000).all(|_| free.take("a", None).is_ok()));
        assert!(free.take("b", one).is_ok() && free.take("b", one).is_err());
    }
}
