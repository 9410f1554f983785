//! How often a submitted prediction is looked at. A webhook comes sooner than any look; looks find what no webhook told. All
//! predictions of an account share one request rate at the provider, so the more are in flight, the longer each rests.

use crate::context::Context;
use spool_db::predictions;
use spool_queue::Failure;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Looks by all workers together, as a part of what the provider allows for everything but creating. The rest is for the looks
/// that webhooks cause, for lists and for cancels.
const PART_OF_READS: f64 = 0.4;
/// For so long a count of what is in flight is good enough.
const FRESH: Duration = Duration::from_secs(5);
/// Rests differ by this share in both directions, so that what began together does not come together.
const SPREAD: f64 = 0.2;

/// What is in flight at each provider, as this process last saw it.
#[derive(Debug)]
pub(crate) struct Pace {
    looks_per_second: f64,
    seen: Mutex<HashMap<String, Seen>>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Instant,
    in_flight: i64,
}

impl Pace {
    /// For an account that takes so many reads a minute.
    pub(crate) fn new(reads_per_minute: NonZeroU32) -> Self {
        let looks_per_second = f64::from(reads_per_minute.get()) / 60.0 * PART_OF_READS;
        Self { looks_per_second, seen: Mutex::default() }
    }

    /// How long a prediction rests after it was looked at, `submitted_for` so long and looked at `polls` times.
    pub(super) async fn rest(
        &self,
        ctx: &Context,
        provider: &str,
        id: Uuid,
        submitted_for: Duration,
        polls: i32,
    ) -> Result<Duration, Failure> {
        let rest = rest(submitted_for, self.in_flight(ctx, provider).await?, self.looks_per_second);
        Ok(rest.mul_f64(1.0 + SPREAD * lean(id, polls)))
    }

    async fn in_flight(&self, ctx: &Context, provider: &str) -> Result<i64, Failure> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(provider).copied();
        if let Some(seen) = seen.filter(|seen| seen.at.elapsed() < FRESH) {
            return Ok(seen.in_flight);
        }
        let mut conn = ctx.read().await?;
        let in_flight = predictions::in_flight(&mut conn, provider).await?;
        let seen = Seen { at: Instant::now(), in_flight };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(provider.to_owned(), seen);
        Ok(in_flight)
    }
}

/// Eager at first, patient later, and never more often than all together may.
fn rest(submitted_for: Duration, in_flight: i64, looks_per_second: f64) -> Duration {
    let by_age = match submitted_for.as_secs() {
        0..30 => Duration::from_secs(2),
        30..120 => Duration::from_secs(5),
        _ => Duration::from_secs(10),
    };
    by_age.max(Duration::from_secs_f64(in_flight.max(0) as f64 / looks_per_second))
}

/// A number between -1 and 1 that differs from prediction to prediction and from look to look.
fn lean(id: Uuid, polls: i32) -> f64 {
    let random_bits = id.as_u128() as u32;
    let mixed = (random_bits ^ polls.unsigned_abs().wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b);
    f64::from(mixed >> 8) / f64::from(u32::MAX >> 8) * 2.0 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_grow_patient_with_age() {
        for (after, seconds) in [(0, 2), (29, 2), (30, 5), (119, 5), (120, 10), (3600, 10)] {
            assert_eq!(rest(Duration::from_secs(after), 1, 20.0), Duration::from_secs(seconds));
        }
    }

    #[test]
    fn all_together_stay_below_the_account_s_rate() {
        for reads_per_minute in [60, 3_000] {
            let most = Pace::new(NonZeroU32::new(reads_per_minute).unwrap()).looks_per_second;
            for in_flight in [41, 200, 2_000, 50_000] {
                let looks = in_flight as f64 / rest(Duration::ZERO, in_flight, most).as_secs_f64();
                assert!(looks <= most + 0.01, "{in_flight} in flight make {looks} looks a second");
            }
        }
    }

    #[test]
    fn what_began_together_does_not_come_together() {
        let leans: Vec<f64> = (0..1000).map(|n| lean(Uuid::from_u128(n), 3)).collect();
        assert!(leans.iter().all(|lean| (-1.0..=1.0).contains(lean)));
        let mean = leans.iter().sum::<f64>() / 1000.0;
        assert!(mean.abs() < 0.1, "{mean}");
        assert!((lean(Uuid::from_u128(7), 1) - lean(Uuid::from_u128(7), 2)).abs() > f64::EPSILON);
    }
}
