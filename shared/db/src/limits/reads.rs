//! Tokens of the reads, taken in chunks: one statement for many calls. Each chunk is a stretch of time of its own, so that the
//! chunks of all processes together keep the rate; what is not used in its time is lost.

use super::gates::{self, Row, pace};
use super::plan::Moment;
use super::{TOLERANCE, WHOLE_ACCOUNT};
use crate::error::{DbError, Doing};
use sqlx::PgConnection;
use std::time::Duration;

/// Chunks begin no later than so long from now: who comes later comes again.
const AHEAD: Duration = Duration::from_secs(1);

/// In seconds: a debt is noted however far ahead the others' tokens are.
const ANY_TIME: f64 = 1e9;

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

/// Takes up to `wanted` tokens, and no more than those of a second; to be called in a transaction of its own.
pub async fn take(conn: &mut PgConnection, provider: &str, wanted: u32) -> Result<Tokens, DbError> {
    let now = gates::clock(conn).await?;
    let rows = gates::rows(conn, provider, "other").await?;
    let Some(row) = rows.iter().find(|row| row.model == WHOLE_ACCOUNT) else { return Ok(Tokens::Unlimited) };
    if let Some(rest) = row.paused_until.and_then(|until| (until - now).to_std().ok()) {
        return Ok(Tokens::Later(rest));
    }
    let Some(step) = step(row, now) else { return Ok(Tokens::Unlimited) };
    // A longer stretch would leave the others without for as long.
    let tokens = wanted.min((AHEAD.as_secs_f64() / step.as_secs_f64()) as u32).max(1);
    let Some(ends_in) = advance(conn, provider, step * tokens, AHEAD.as_secs_f64()).await? else {
        let late = row.next_at.and_then(|at| (at - now).to_std().ok()).unwrap_or_default();
        return Ok(Tokens::Later(late.saturating_sub(AHEAD).max(TOLERANCE)));
    };
    let starts_in = Duration::from_secs_f64((ends_in - (step * tokens).as_secs_f64()).max(0.0));
    Ok(Tokens::Chunk(Chunk { tokens, starts_in, step }))
}

/// A call was made without a token: those who ask for some wait for it.
pub async fn owe(conn: &mut PgConnection, provider: &str) -> Result<(), DbError> {
    let now = gates::clock(conn).await?;
    let rows = gates::rows(conn, provider, "other").await?;
    if let Some(step) = rows.iter().find(|row| row.model == WHOLE_ACCOUNT).and_then(|row| step(row, now)) {
        advance(conn, provider, step, ANY_TIME).await?;
    }
    Ok(())
}

fn step(row: &Row, now: Moment) -> Option<Duration> {
    pace(row.rate(now), row.gap_ms).0.and_then(|step| step.to_std().ok()).filter(|step| !step.is_zero())
}

/// Takes a stretch of time of the account's, if it begins within `ahead` seconds, and says in how many it ends.
async fn advance(
    conn: &mut PgConnection,
    provider: &str,
    stretch: Duration,
    ahead: f64,
) -> Result<Option<f64>, DbError> {
    sqlx::query_scalar!(
        r#"UPDATE provider_limits
           SET next_at = greatest(next_at, clock_timestamp() - make_interval(secs => $4)) + make_interval(secs => $2)
           WHERE provider = $1 AND class = 'other' AND model = '*' AND next_at < clock_timestamp() + make_interval(secs => $3)
           RETURNING extract(epoch FROM next_at - clock_timestamp())::float8 AS "ends_in!""#,
        provider,
        stretch.as_secs_f64(),
        ahead,
        TOLERANCE.as_secs_f64()
    )
    .fetch_optional(conn)
    .await
    .doing("take time for reads")
}
