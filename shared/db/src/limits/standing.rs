//! Limits as operators see and set them.

use super::{WHOLE_ACCOUNT, gates, line};
use crate::error::{DbError, Doing};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// A kind of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Paid calls.
    Create,
    /// Reads, lists and cancels.
    Other,
}

impl Class {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Other => "other",
        }
    }
}

/// A limit and what it does at this moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    pub provider: String,
    pub class: Class,
    /// A model, or `*` for the whole account.
    pub model: String,
    /// Calls a minute; none: not limited.
    pub per_minute: Option<i32>,
    /// Predictions in flight; none: not limited.
    pub max_in_flight: Option<i32>,
    /// An operator has set it, so the workers' settings do not count.
    pub set_by_operator: bool,
    /// What may be used now: a provider may have lowered it.
    pub per_minute_now: Option<i32>,
    /// How many may be in flight now: less after trouble, and growing.
    pub max_in_flight_now: Option<i64>,
    /// Predictions in flight, turns that are given included.
    pub in_flight: i64,
    /// Tasks that wait for a turn.
    pub waiting: i64,
    pub paused_until: Option<DateTime<Utc>>,
    pub pause_reason: Option<String>,
}

/// All limits of all providers. A model without limits of its own is shown while something of it is in flight or waits.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<Standing>, DbError> {
    const DOING: &str = "list the limits";
    let now = gates::clock(conn).await?;
    let providers = sqlx::query!(
        "SELECT provider, array_agg(class || ' ' || model) FILTER (WHERE per_minute IS NOT NULL OR max_in_flight IS NOT NULL) AS set_keys
         FROM provider_limits GROUP BY provider ORDER BY provider"
    )
    .fetch_all(&mut *conn)
    .await
    .doing(DOING)?;
    let mut all = Vec::new();
    for known in providers {
        let provider = known.provider;
        let set = known.set_keys.unwrap_or_default();
        let in_flight = gates::in_flight(conn, &provider).await?;
        let waits = sqlx::query!(
            r#"SELECT model, count(*) AS "n!" FROM limit_waits WHERE provider = $1 AND turn_at IS NULL GROUP BY model"#,
            provider
        )
        .fetch_all(&mut *conn)
        .await
        .doing(DOING)?;
        let waiting = |model: &str| -> i64 {
            waits.iter().filter(|row| model == WHOLE_ACCOUNT || row.model == model).map(|row| row.n).sum()
        };
        let flying = |model: &str| -> i64 {
            in_flight
                .iter()
                .filter(|(one, _)| model == WHOLE_ACCOUNT || one.as_str() == model)
                .map(|(_, n)| n)
                .sum()
        };
        let begin = all.len();
        for class in [Class::Create, Class::Other] {
            for row in gates::rows(conn, &provider, class.as_str()).await? {
                let create = class == Class::Create;
                all.push(Standing {
                    provider: provider.clone(),
                    class,
                    per_minute: row.per_minute,
                    max_in_flight: row.max_in_flight,
                    set_by_operator: set.contains(&format!("{} {}", class.as_str(), row.model)),
                    per_minute_now: row.rate(now),
                    max_in_flight_now: row.most(now),
                    in_flight: if create { flying(&row.model) } else { 0 },
                    waiting: if create { waiting(&row.model) } else { 0 },
                    paused_until: row.paused_until.filter(|until| *until > now),
                    pause_reason: row
                        .pause_reason
                        .filter(|_| row.paused_until.is_some_and(|until| until > now)),
                    model: row.model,
                });
            }
        }
        let busy = in_flight.keys().map(String::as_str).chain(waits.iter().map(|row| row.model.as_str()));
        let mut busy: Vec<&str> = busy.collect();
        busy.sort_unstable();
        busy.dedup();
        for model in busy {
            let shown = |one: &Standing| one.class == Class::Create && one.model == model;
            if !all.iter().skip(begin).any(shown) {
                all.push(Standing {
                    provider: provider.clone(),
                    class: Class::Create,
                    model: model.to_owned(),
                    per_minute: None,
                    max_in_flight: None,
                    set_by_operator: false,
                    per_minute_now: None,
                    max_in_flight_now: None,
                    in_flight: flying(model),
                    waiting: waiting(model),
                    paused_until: None,
                    pause_reason: None,
                });
            }
        }
    }
    Ok(all)
}

/// Sets a limit in the place of the settings. What is not given is left to them.
pub async fn set(
    conn: &mut PgConnection,
    provider: &str,
    class: Class,
    model: &str,
    per_minute: Option<i32>,
    max_in_flight: Option<i32>,
) -> Result<(), DbError> {
    gates::lock(conn, provider, true).await?;
    sqlx::query!(
        "INSERT INTO provider_limits (provider, class, model, per_minute, max_in_flight) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (provider, class, model) DO UPDATE
         SET per_minute = excluded.per_minute, max_in_flight = excluded.max_in_flight",
        provider,
        class.as_str(),
        model,
        per_minute,
        max_in_flight
    )
    .execute(&mut *conn)
    .await
    .doing("set a limit")?;
    line::revoke(conn, provider, model).await
}

/// Forgets what operators and troubles said: what the settings say counts again, without pause. Says whether there was anything.
pub async fn reset(
    conn: &mut PgConnection,
    provider: &str,
    class: Class,
    model: &str,
) -> Result<bool, DbError> {
    gates::lock(conn, provider, true).await?;
    let reset = sqlx::query!(
        "UPDATE provider_limits
         SET per_minute = NULL, max_in_flight = NULL, paused_until = NULL, pause_reason = NULL, lowered_per_minute = NULL,
             lowered_until = NULL, cut_to = NULL, cut_at = NULL, grow_per_minute = NULL
         WHERE provider = $1 AND class = $2 AND model = $3",
        provider,
        class.as_str(),
        model
    )
    .execute(conn)
    .await
    .doing("reset a limit")?;
    Ok(reset.rows_affected() > 0)
}

/// Breaker key or limit key: what a model's field may hold.
pub fn is_model(text: &str) -> bool {
    text == WHOLE_ACCOUNT
        || text.split_once('/').is_some_and(|(owner, name)| !owner.is_empty() && !name.is_empty())
}
