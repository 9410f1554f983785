//! What a provider told one worker binds them all: pauses per provider and model.

use crate::error::{DbError, Doing};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use std::time::Duration;

/// Every model of an account.
pub const WHOLE_ACCOUNT: &str = "*";

/// A pause that is still on.
#[derive(Debug, Clone)]
pub struct Pause {
    /// Until when, by the database's clock.
    pub until: DateTime<Utc>,
    /// What the provider said.
    pub reason: String,
}

/// The longest pause that binds `model` now.
pub async fn pause_of(
    conn: &mut PgConnection,
    provider: &str,
    model: &str,
) -> Result<Option<Pause>, DbError> {
    sqlx::query_as!(
        Pause,
        "SELECT paused_until AS until, reason FROM provider_limits
         WHERE provider = $1 AND model IN ($2, '*') AND paused_until > now()
         ORDER BY paused_until DESC LIMIT 1",
        provider,
        model,
    )
    .fetch_optional(conn)
    .await
    .doing("read the provider's pause")
}

/// Pauses `model` for everyone; a shorter pause never shortens a longer one.
pub async fn pause(
    conn: &mut PgConnection,
    provider: &str,
    model: &str,
    wait: Duration,
    reason: &str,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO provider_limits (provider, model, paused_until, reason)
         VALUES ($1, $2, now() + make_interval(secs => $3), $4)
         ON CONFLICT (provider, model) DO UPDATE
         SET paused_until = GREATEST(provider_limits.paused_until, excluded.paused_until),
             reason = excluded.reason, updated_at = now()",
        provider,
        model,
        wait.as_secs_f64(),
        reason,
    )
    .execute(conn)
    .await
    .doing("pause the provider")?;
    Ok(())
}
