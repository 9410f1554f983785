//! What may be asked of a provider, by all workers together: how often, how much at once, and whether at all.
//!
//! A paid call needs a *turn*. Turns are given ahead of time and in one statement for many: whoever holds the lock of the
//! account's row ([`line`]) gives the next seconds to the tasks that wait, in fair order ([`plan`]). Each has a moment from which
//! and one until which it may be used, so an unused one breaks no window later. Using a turn deletes a row of the task's own, in
//! the transaction that writes the intent: no row is hot. Reads take tokens in chunks ([`reads`]). What providers answer changes
//! the shared state at once ([`feedback`], [`breaker`]). Only the database's clock is asked.
//!
//! Locks: the account's row, other rows of limits, breakers, waits; all of them after the ledger and before tasks.

pub mod breaker;
pub mod feedback;
mod gates;
pub mod line;
pub mod obstacles;
mod places;
pub mod plan;
pub mod reads;
pub mod standing;
pub mod weights;

pub use obstacles::{Obstacle, obstacles};
pub use places::{InLine, in_line};

use crate::error::{DbError, Doing};
use sqlx::PgConnection;
use std::time::Duration;

/// Every model of an account.
pub const WHOLE_ACCOUNT: &str = "*";

/// Of a rate, so much is used in thousandths: turns are used up to [`LATEST`] late, and a window that is a little too full
/// costs more than one that is a little too empty.
pub(crate) const USED: i64 = 975;
/// How long after its moment a turn may be used: workers look for due tasks every 750 ms.
pub(crate) const LATEST: Duration = Duration::from_millis(1500);
/// How much earlier than due a call may come: this makes up for moments at which nobody was there to go.
pub(crate) const TOLERANCE: Duration = Duration::from_millis(250);

/// The database's time, now and not at the transaction's begin: what limits and breakers go by.
pub async fn now(conn: &mut PgConnection) -> Result<plan::Moment, DbError> {
    gates::clock(conn).await
}

/// What the settings of the workers say about an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Paid calls.
    pub creates_per_minute: i32,
    /// Reads, lists and cancels.
    pub others_per_minute: i32,
    /// Predictions in flight.
    pub max_in_flight: i32,
    /// Two paid calls are at least so far apart, in milliseconds.
    pub gap_ms: i32,
}

/// Tells what the settings say. It holds where no operator has said otherwise; of workers that differ the last one counts.
pub async fn announce(conn: &mut PgConnection, provider: &str, settings: Settings) -> Result<(), DbError> {
    for (class, per_minute, max_in_flight, gap_ms) in [
        ("create", settings.creates_per_minute, Some(settings.max_in_flight), settings.gap_ms),
        ("other", settings.others_per_minute, None, 0),
    ] {
        sqlx::query!(
            "INSERT INTO provider_limits AS l (provider, class, model, default_per_minute, default_max_in_flight, gap_ms)
             VALUES ($1, $2, '*', $3, $4, $5)
             ON CONFLICT (provider, class, model) DO UPDATE
             SET default_per_minute = excluded.default_per_minute, default_max_in_flight = excluded.default_max_in_flight,
                 gap_ms = excluded.gap_ms
             WHERE (l.default_per_minute, l.default_max_in_flight, l.gap_ms)
                   IS DISTINCT FROM (excluded.default_per_minute, excluded.default_max_in_flight, excluded.gap_ms)",
            provider,
            class,
            per_minute,
            max_in_flight,
            gap_ms,
        )
        .execute(&mut *conn)
        .await
        .doing("announce the limits of the settings")?;
    }
    Ok(())
}
