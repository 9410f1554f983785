//! What a provider's answer to one worker means for all of them: pauses, fewer at once, a lower rate, an open breaker.

use super::breaker::{self, ACCOUNT_REST, By, Kind};
use super::{WHOLE_ACCOUNT, gates, line};
use crate::error::{DbError, Doing};
use sqlx::PgConnection;
use std::time::Duration;

/// Rest of an account that cannot be reached.
const UNREACHABLE_REST: Duration = Duration::from_secs(5);
/// Rest of a model that answered with a server error.
const SERVER_ERROR_REST: Duration = Duration::from_secs(1);
/// A lowered rate is believed for so long; then the usual one is tried.
const LOWERED_FOR: Duration = Duration::from_secs(600);
/// A cut is followed by no other for so long: troubles of one moment count once.
const CUT_PAUSE_S: f64 = 30.0;
/// Below so many in flight nothing is cut, nor below a quarter of what is allowed.
const SMALL: i64 = 16;

/// It took a paid call.
pub async fn accepted(conn: &mut PgConnection, provider: &str, model: &str) -> Result<(), DbError> {
    breaker::succeeded(conn, provider, &[WHOLE_ACCOUNT, model], Kind::Call).await
}

/// It said no to one call, and thereby that it is there.
pub async fn answered(conn: &mut PgConnection, provider: &str) -> Result<(), DbError> {
    breaker::succeeded(conn, provider, &[WHOLE_ACCOUNT], Kind::Call).await
}

/// 429: nobody calls before `rest` is over. With `lowered` it said how many a minute it takes for the time being.
pub async fn throttled(
    conn: &mut PgConnection,
    provider: &str,
    rest: Duration,
    lowered: Option<u32>,
) -> Result<(), DbError> {
    gates::lock(conn, provider, true).await?;
    let why = match lowered {
        Some(rate) => format!("{provider} takes {rate} a minute for now"),
        None => format!("throttled by {provider}"),
    };
    pause(conn, provider, "create", WHOLE_ACCOUNT, rest, &why).await?;
    if let Some(rate) = lowered {
        sqlx::query!(
            "UPDATE provider_limits SET lowered_per_minute = $2, lowered_until = clock_timestamp() + make_interval(secs => $3)
             WHERE provider = $1 AND class = 'create' AND model = '*'",
            provider,
            i32::try_from(rate.max(1)).unwrap_or(i32::MAX),
            LOWERED_FOR.as_secs_f64()
        )
        .execute(&mut *conn)
        .await
        .doing("lower the rate")?;
    }
    cut(conn, provider, WHOLE_ACCOUNT, 0.9).await?;
    line::revoke(conn, provider, WHOLE_ACCOUNT).await
}

/// 429 to a read.
pub async fn reads_throttled(conn: &mut PgConnection, provider: &str, rest: Duration) -> Result<(), DbError> {
    pause(conn, provider, "other", WHOLE_ACCOUNT, rest, &format!("throttled by {provider}")).await
}

/// 402, 401 or 403: it takes nothing of our account until somebody acts.
pub async fn account_refused(conn: &mut PgConnection, provider: &str, why: &str) -> Result<(), DbError> {
    let rest = i32::try_from(ACCOUNT_REST.as_secs()).unwrap_or(i32::MAX);
    breaker::trip(conn, provider, WHOLE_ACCOUNT, By::Account, why, rest).await
}

/// No connection, so nothing was sent.
pub async fn unreachable(conn: &mut PgConnection, provider: &str, why: &str) -> Result<(), DbError> {
    if !breaker::failed(conn, provider, WHOLE_ACCOUNT, Kind::Call, why).await? {
        pause(conn, provider, "create", WHOLE_ACCOUNT, UNREACHABLE_REST, why).await?;
        line::revoke(conn, provider, WHOLE_ACCOUNT).await?;
    }
    Ok(())
}

/// The answer was lost.
pub async fn lost(conn: &mut PgConnection, provider: &str, why: &str) -> Result<(), DbError> {
    breaker::failed(conn, provider, WHOLE_ACCOUNT, Kind::Call, why).await?;
    cut(conn, provider, WHOLE_ACCOUNT, 0.7).await
}

/// 5xx to a paid call of this model.
pub async fn server_error(
    conn: &mut PgConnection,
    provider: &str,
    model: &str,
    why: &str,
) -> Result<(), DbError> {
    breaker::failed(conn, provider, model, Kind::Call, why).await?;
    pause(conn, provider, "create", model, SERVER_ERROR_REST, why).await?;
    cut(conn, provider, model, 0.7).await?;
    line::revoke(conn, provider, model).await
}

/// E6716: it could not start a run for its own load. That model rests and gets fewer at once.
pub async fn crowded(
    conn: &mut PgConnection,
    provider: &str,
    model: &str,
    rest: Duration,
    why: &str,
) -> Result<(), DbError> {
    breaker::failed(conn, provider, model, Kind::Run, why).await?;
    pause(conn, provider, "create", model, rest, why).await?;
    cut(conn, provider, model, 0.7).await?;
    line::revoke(conn, provider, model).await
}

/// A run of this model failed for reasons of the provider.
pub async fn run_failed(
    conn: &mut PgConnection,
    provider: &str,
    model: &str,
    why: &str,
) -> Result<(), DbError> {
    breaker::failed(conn, provider, model, Kind::Run, why).await?;
    Ok(())
}

/// A run of this model gave an output.
pub async fn run_succeeded(conn: &mut PgConnection, provider: &str, model: &str) -> Result<(), DbError> {
    breaker::succeeded(conn, provider, &[model], Kind::Run).await
}

/// A shorter pause never shortens a longer one.
pub(super) async fn pause(
    conn: &mut PgConnection,
    provider: &str,
    class: &str,
    model: &str,
    rest: Duration,
    why: &str,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO provider_limits AS l (provider, class, model, paused_until, pause_reason)
         VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4), $5)
         ON CONFLICT (provider, class, model) DO UPDATE
         SET pause_reason = CASE WHEN l.paused_until > excluded.paused_until THEN l.pause_reason ELSE excluded.pause_reason END,
             paused_until = greatest(l.paused_until, excluded.paused_until)",
        provider,
        class,
        model,
        rest.as_secs_f64(),
        why,
    )
    .execute(conn)
    .await
    .doing("pause the provider")?;
    Ok(())
}

/// Fewer in flight: a share of what is allowed or, if that is less, of what is in flight. It grows back by what was cut each minute.
async fn cut(conn: &mut PgConnection, provider: &str, model: &str, share: f64) -> Result<(), DbError> {
    let now = gates::clock(conn).await?;
    let rows = gates::rows(conn, provider, "create").await?;
    let row = rows.iter().find(|row| row.model == model);
    let in_flight = gates::in_flight(conn, provider).await?;
    let in_flight = match model {
        WHOLE_ACCOUNT => in_flight.values().sum::<i64>(),
        model => in_flight.get(model).copied().unwrap_or(0),
    };
    let allowed = row.and_then(|row| row.most(now));
    let configured = row.and_then(|row| row.max_in_flight).map(i64::from);
    let Some((to, grow)) = cut_to(allowed, configured, in_flight, share) else { return Ok(()) };
    sqlx::query!(
        "INSERT INTO provider_limits AS l (provider, class, model, cut_to, cut_at, grow_per_minute)
         VALUES ($1, 'create', $2, $3, clock_timestamp(), $4)
         ON CONFLICT (provider, class, model) DO UPDATE
         SET cut_to = excluded.cut_to, cut_at = excluded.cut_at, grow_per_minute = excluded.grow_per_minute
         WHERE l.cut_at IS NULL OR l.cut_at < clock_timestamp() - make_interval(secs => $5)",
        provider,
        model,
        i32::try_from(to).unwrap_or(i32::MAX),
        i32::try_from(grow).unwrap_or(i32::MAX),
        CUT_PAUSE_S
    )
    .execute(conn)
    .await
    .doing("allow fewer predictions in flight")?;
    Ok(())
}

/// What is allowed after a cut and what is added each minute; none where there is nothing to cut.
fn cut_to(allowed: Option<i64>, configured: Option<i64>, in_flight: i64, share: f64) -> Option<(i64, i64)> {
    let floor = configured.map_or(SMALL, |most| SMALL.min(most / 4)).max(1);
    let from = allowed.map_or(in_flight, |allowed| allowed.min(in_flight));
    if from <= floor {
        return None;
    }
    let to = ((from as f64 * share) as i64).max(floor);
    Some((to, (from - to).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_takes_a_share_but_leaves_a_few() {
        assert_eq!(cut_to(Some(2000), Some(2000), 100, 0.7), Some((70, 30)));
        assert_eq!(
            cut_to(Some(40), Some(2000), 100, 0.5),
            Some((20, 20)),
            "less is allowed than is in flight"
        );
        assert_eq!(cut_to(Some(2000), Some(2000), 10, 0.7), None, "few as they are");
        assert_eq!(cut_to(Some(8), Some(8), 8, 0.7), Some((5, 3)));
        assert_eq!(cut_to(Some(8), Some(8), 2, 0.7), None);
        assert_eq!(cut_to(None, None, 20, 0.5), Some((16, 4)));
    }
}
