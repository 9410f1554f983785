//! Before every read of the provider, each page of a list and each try of a look: a token of a chunk that this process took from the
//! account's, spent evenly.

use super::line::Line;
use futures::future::BoxFuture;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use metrics::counter;
use spool_db::limits::reads::{self, Chunk, Tokens};
use spool_provider::client::FurtherReads;
use spool_queue::Failure;
use spool_telemetry::names;
use sqlx::PgPool;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// A token whose moment is this near is waited for: no chunk begins later, so whoever takes one has a token of it.
const NEAR: Duration = Duration::from_secs(1);
/// So long the process's pace may hold up a token, which is late by that; nobody who has none looks again sooner, and what cannot wait
/// goes after it.
const SHORT: Duration = Duration::from_millis(300);
/// A list goes on after waiting at most this long for its next page.
const PATIENCE: Duration = Duration::from_secs(5);
/// An unused token dies so long after its moment: a window of time holds only tokens of its own and of this before it.
const LATE: Duration = Duration::from_secs(1);
/// Largest chunk.
const MOST: u32 = 64;

/// The tokens of this process.
#[derive(Debug)]
pub(crate) struct Reads {
    provider: &'static str,
    pace: DefaultDirectRateLimiter,
    clock: DefaultClock,
    purse: Mutex<Purse>,
}

/// A chunk by this process's own monotonic clock, and what was learned from the one before.
#[derive(Debug, Clone, Copy)]
struct Purse {
    left: u32,
    next_at: Instant,
    step: Duration,
    /// How much later than its moment a token may be used.
    grace: Duration,
    used: u32,
    died: bool,
    /// There are none before.
    none_before: Instant,
    line: Line,
}

impl Purse {
    fn empty(now: Instant) -> Self {
        Self {
            left: 0,
            next_at: now,
            step: Duration::ZERO,
            grace: Duration::ZERO,
            used: 0,
            died: false,
            none_before: now,
            line: Line::new(now),
        }
    }

    /// How many to ask for: what was used, and a few more if that was not enough. What is not used is lost to the others.
    fn wanted(&self) -> u32 {
        let more = if self.left == 0 && !self.died { self.used / 4 + 1 } else { 0 };
        (self.used + more).clamp(1, MOST)
    }

    /// The database's moments lie between the question and its answer. A token is not used before its moment, so it counts from the
    /// answer, and not after it died, so that counts from the question.
    fn fill(&mut self, chunk: Chunk, asked: Instant, answered: Instant) {
        self.line.served(answered, self.used, chunk.step);
        *self = Self {
            left: chunk.tokens,
            next_at: answered + chunk.starts_in,
            step: chunk.step,
            grace: LATE.saturating_sub(answered - asked),
            used: 0,
            died: false,
            none_before: answered,
            line: self.line,
        };
    }

    /// Throws away the tokens that died.
    fn clear(&mut self, now: Instant) {
        while self.left > 0 && now > self.next_at + self.grace {
            self.left -= 1;
            self.next_at += self.step;
            self.died = true;
        }
    }

    /// Takes a token and says how long to wait before using it; none when that is too long or there is none.
    fn take(&mut self, now: Instant) -> Option<Duration> {
        self.clear(now);
        if self.left == 0 {
            return None;
        }
        let wait = self.next_at.saturating_duration_since(now);
        if wait > NEAR {
            return None;
        }
        self.left -= 1;
        self.used += 1;
        self.next_at += self.step;
        Some(wait)
    }
}

impl Reads {
    /// At most `per_minute` from this process, smoothed; the account's limit is the database's.
    pub(crate) fn new(provider: &'static str, per_minute: NonZeroU32) -> Self {
        let burst = NonZeroU32::MIN.saturating_add(per_minute.get() / 240);
        Self {
            provider,
            pace: RateLimiter::direct(Quota::per_minute(per_minute).allow_burst(burst)),
            clock: DefaultClock::default(),
            purse: Mutex::new(Purse::empty(Instant::now())),
        }
    }

    /// Waits shortly for a token. `Err` says how long to park instead: each task gets a time of its own, so that they come one by one.
    pub(crate) async fn token(&self, pool: &PgPool) -> Result<Result<(), Duration>, Failure> {
        let Err(wait) = self.short_wait(pool).await? else { return Ok(Ok(())) };
        let mut purse = self.purse.lock().await;
        Ok(Err(purse.line.place(Instant::now(), wait.max(SHORT))))
    }

    async fn short_wait(&self, pool: &PgPool) -> Result<Result<(), Duration>, Failure> {
        let wait = match self.draw(pool).await? {
            Ok(wait) => wait,
            Err(later) => return Ok(Err(later)),
        };
        tokio::time::sleep(wait).await;
        while let Err(not_until) = self.pace.check() {
            let wait = not_until.wait_time_from(self.clock.now());
            if wait > SHORT {
                return Ok(Err(wait));
            }
            tokio::time::sleep(wait).await;
        }
        counter!(names::LIMIT_TOKENS, "provider" => self.provider, "class" => "other").increment(1);
        Ok(Ok(()))
    }

    /// For what must be said to the provider and cannot be parked: waits shortly, then goes, and the others wait for it.
    pub(crate) async fn token_or_go(&self, pool: &PgPool) {
        let wait = match self.short_wait(pool).await {
            Ok(Ok(())) => return,
            Ok(Err(wait)) => wait,
            Err(error) => {
                return tracing::warn!(error = error.error(), "no token for a call that cannot wait");
            }
        };
        tokio::time::sleep(wait.min(SHORT)).await;
        counter!(names::LIMIT_TOKENS, "provider" => self.provider, "class" => "other").increment(1);
        if let Err(error) = self.owe(pool).await {
            tracing::warn!(error = error.error(), "the others do not know of a call that could not wait");
        }
    }

    async fn owe(&self, pool: &PgPool) -> Result<(), Failure> {
        let mut conn = pool.acquire().await?;
        Ok(reads::owe(&mut conn, self.provider).await?)
    }

    /// A token for a call that is under way: half a list is worth nothing, so it is waited for longer.
    async fn further(&self, pool: &PgPool) -> Result<(), Duration> {
        let begin = Instant::now();
        loop {
            match self.short_wait(pool).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(wait)) if begin.elapsed() + wait <= PATIENCE => tokio::time::sleep(wait).await,
                Ok(Err(wait)) => return Err(wait),
                Err(error) => {
                    tracing::warn!(error = error.error(), "no token for a further request");
                    return Err(PATIENCE);
                }
            }
        }
    }

    async fn draw(&self, pool: &PgPool) -> Result<Result<Duration, Duration>, Failure> {
        let mut purse = self.purse.lock().await;
        let now = Instant::now();
        if let Some(wait) = purse.take(now) {
            return Ok(Ok(wait));
        }
        if purse.left > 0 {
            return Ok(Err(purse.next_at.saturating_duration_since(now)));
        }
        if now < purse.none_before {
            return Ok(Err(purse.none_before - now));
        }
        // Committed before a token is used: a chunk that is rolled back was never taken.
        let asked = Instant::now();
        let mut tx = pool.begin().await?;
        let tokens = reads::take(&mut tx, self.provider, purse.wanted()).await?;
        tx.commit().await?;
        let answered = Instant::now();
        Ok(match tokens {
            Tokens::Unlimited => Ok(Duration::ZERO),
            Tokens::Later(wait) => {
                purse.none_before = answered + wait;
                Err(wait)
            }
            Tokens::Chunk(chunk) => {
                purse.fill(chunk, asked, answered);
                purse.take(answered).ok_or(chunk.starts_in)
            }
        })
    }
}

/// The tokens of the requests that a call makes beyond its first.
#[derive(Debug)]
pub(crate) struct Further {
    pub(crate) reads: Arc<Reads>,
    pub(crate) pool: PgPool,
}

impl FurtherReads for Further {
    fn one_more(&self) -> BoxFuture<'_, Result<(), Duration>> {
        Box::pin(self.reads.further(&self.pool))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(20);

    fn filled(tokens: u32, starts_in: Duration) -> (Purse, Instant) {
        let asked = Instant::now();
        let answered = asked + Duration::from_millis(5);
        let mut purse = Purse::empty(asked);
        purse.fill(Chunk { tokens, starts_in, step: STEP }, asked, answered);
        (purse, answered)
    }

    #[test]
    fn tokens_are_spent_evenly_and_not_before_their_time() {
        let (mut purse, answered) = filled(3, Duration::ZERO);
        let waits: Vec<_> = (0..4).map(|_| purse.take(answered)).collect();
        assert_eq!(waits, [Some(Duration::ZERO), Some(STEP), Some(2 * STEP), None]);
        assert_eq!(purse.wanted(), 4, "it was not enough");
    }

    #[test]
    fn hoarded_tokens_die_one_by_one() {
        let (mut purse, answered) = filled(50, Duration::ZERO);
        assert!(purse.take(answered).is_some());
        // Those of the first 200 ms are dead by then, as seen from the question.
        let late = answered + LATE + Duration::from_millis(200);
        let burst = std::iter::from_fn(|| purse.take(late).filter(Duration::is_zero)).count();
        assert_eq!(burst, 39);
        assert_eq!(purse.take(late + LATE), None);
        assert_eq!(purse.wanted(), 40, "so many were used");
    }

    #[test]
    fn a_purse_that_nobody_used_up_shrinks() {
        let (mut purse, answered) = filled(8, Duration::ZERO);
        assert!(purse.take(answered).is_some());
        assert!(purse.take(answered).is_some());
        assert_eq!(purse.wanted(), 2);
        purse.clear(answered + 8 * STEP + LATE);
        assert_eq!(purse.left, 0);
        assert_eq!(purse.wanted(), 2, "they died, nobody wanted them");
    }

    #[test]
    fn a_token_that_is_far_off_is_left_for_later() {
        let (mut purse, answered) = filled(60, Duration::from_millis(900));
        let taken = std::iter::from_fn(|| purse.take(answered)).count();
        assert_eq!(taken, 6, "those of the first second");
        assert!(purse.take(answered + Duration::from_millis(900)).is_some());
    }
}
