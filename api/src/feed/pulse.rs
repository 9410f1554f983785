//! Until when everything is known to have been heard.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is known of longer ago vouches for nothing.
const TRUSTED: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub struct Pulse(Mutex<Option<Instant>>);

impl Pulse {
    pub fn beat(&self, moment: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(moment);
    }

    pub fn is_live(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|beat| beat.elapsed() < TRUSTED)
    }
}
