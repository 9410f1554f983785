//! When requests to the Replicate API arrived: what a limiter is judged by.

use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// So many are remembered.
const MOST: usize = 200_000;

/// One request that came with a token.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Arrival {
    /// Machine time.
    pub(crate) at: chrono::DateTime<chrono::Utc>,
    /// Whether it counts as a create.
    pub(crate) create: bool,
    /// It was turned away by the rate limit.
    pub(crate) throttled: bool,
}

/// The latest arrivals, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Arrivals(Mutex<VecDeque<Arrival>>);

impl Arrivals {
    pub(crate) fn note(&self, arrival: Arrival) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == MOST {
            all.pop_front();
        }
        all.push_back(arrival);
    }

    pub(crate) fn all(&self) -> Vec<Arrival> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
