//! What a provider told one worker binds them all: pauses per provider and model.

use crate::error::{DbError, Doing};
use sqlx::PgConnection;
use std::time::Duration;

/// Every model of an account.
pub const WHOLE_ACCOUNT: &str = "*";

/// A pause that is still on.
#[derive(Debug, Clone)]
pub struct Pause {
    /// For how long, by the database's clock.
    pub wait: Duration,
    /// What the provider said.
    pub reason: String,
}

/// The longest pause that binds `model` now.
pub async fn pause_of(
    conn: &mut PgConnection,
    provider: &str,
    model: &str,
) -> Result<Option<Pause>, DbError> {
    let row = sqlx::query!(
        r#"SELECT extract(epoch FROM paused_until - now())::float8 AS "wait_s!", reason FROM provider_limits
           WHERE provider = $1 AND model IN ($2, '*') AND paused_until > now()
           ORDER BY paused_until DESC LIMIT 1"#,
        provider,
        model,
    )
    .fetch_optional(conn)
    .await
    .doing("read the provider's pause")?;
    Ok(row.map(|row| Pause { wait: Duration::from_secs_f64(row.wait_s.max(0.0)), reason: row.reason }))
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
