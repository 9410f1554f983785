//! Tokens of the reads, taken in chunks: one statement for many calls. Each chunk is a stretch of time of its own, so that the
//! chunks of all processes together keep the rate; what is not used in its time is lost.

use super::gates::{self, pace};
use super::{TOLERANCE, WHOLE_ACCOUNT};
use crate::error::{DbError, Doing};
use sqlx::PgConnection;
use std::time::Duration;

/// Chunks begin no later than so long from now: who comes later comes again.
const AHEAD: Duration = Duration::from_secs(1);

/// Tokens for calls of the class `other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    pub tokens: u32,
    /// The first may be used so long after the statement, one more each `step`.
    pub starts_in: Duration,
    pub step: Duration,
}

/// What became of asking for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokens {
    Chunk(Chunk),
    /// There is no limit.
    Unlimited,
    /// None before this is over.
    Later(Duration),
}

/// Takes up to `wanted` tokens; to be called in a transaction of its own.
pub async fn take(conn: &mut PgConnection, provider: &str, wanted: u32) -> Result<Tokens, DbError> {
    const DOING: &str = "take tokens for reads";
    let now = gates::clock(conn).await?;
    let rows = gates::rows(conn, provider, "other").await?;
    let Some(row) = rows.iter().find(|row| row.model == WHOLE_ACCOUNT) else { return Ok(Tokens::Unlimited) };
    if let Some(rest) = row.paused_until.and_then(|until| (until - now).to_std().ok()) {
        return Ok(Tokens::Later(rest));
    }
    let (Some(step), _) = pace(row.rate(now), row.gap_ms) else { return Ok(Tokens::Unlimited) };
    let wanted = wanted.max(1);
    let taken = sqlx::query_scalar!(
        r#"UPDATE provider_limits
           SET next_at = greatest(next_at, clock_timestamp() - make_interval(secs => $4)) + make_interval(secs => $2)
           WHERE provider = $1 AND class = 'other' AND model = '*' AND next_at < clock_timestamp() + make_interval(secs => $3)
           RETURNING extract(epoch FROM next_at - clock_timestamp())::float8 AS "ends_in!""#,
        provider,
        step.as_seconds_f64() * f64::from(wanted),
        AHEAD.as_secs_f64(),
        TOLERANCE.as_secs_f64()
    )
    .fetch_optional(&mut *conn)
    .await
    .doing(DOING)?;
    let Some(ends_in) = taken else {
        let late = row.next_at.and_then(|at| (at - now).to_std().ok()).unwrap_or_default();
        return Ok(Tokens::Later(late.saturating_sub(AHEAD).max(TOLERANCE)));
    };
    let starts_in = (ends_in - step.as_seconds_f64() * f64::from(wanted)).max(0.0);
    Ok(Tokens::Chunk(Chunk {
        tokens: wanted,
        starts_in: Duration::from_secs_f64(starts_in),
        step: step.to_std().unwrap_or_default(),
    }))
}
