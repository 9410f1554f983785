//! What stands in the way of a paid call at this moment, in words and with times.

use super::breaker::By;
use super::{WHOLE_ACCOUNT, breaker, gates};
use crate::error::DbError;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

/// One thing in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Obstacle {
    /// `pause`, `breaker`, `in_flight`, `rate` or `line`.
    pub what: &'static str,
    /// For people.
    pub why: String,
    /// When it ends, or is looked at again; none where nobody knows.
    pub until: Option<DateTime<Utc>>,
}

/// All that stands in the way of a call of this model, whoever makes it, the firmest first.
pub async fn obstacles(
    conn: &mut PgConnection,
    provider: &str,
    model: &str,
) -> Result<Vec<Obstacle>, DbError> {
    let now = gates::clock(conn).await?;
    let mut found = Vec::new();
    for open in breaker::not_closed(conn, provider).await? {
        if open.model != WHOLE_ACCOUNT && open.model != model {
            continue;
        }
        let name = breaker::name(provider, &open.model);
        let (why, until) = match (open.by, &open.probe) {
            (By::Operator, _) => (format!("an operator holds {name} back: {}", open.why), None),
            (_, Some((_, until))) if open.until <= now => {
                (format!("{name} is tried again with one task: {}", open.why), Some(*until))
            }
            _ => (format!("{name} is left alone for a while: {}", open.why), Some(open.until)),
        };
        found.push(Obstacle { what: "breaker", why, until });
    }
    let rows = gates::rows(conn, provider, "create").await?;
    let rows: Vec<_> =
        rows.into_iter().filter(|row| row.model == WHOLE_ACCOUNT || row.model == model).collect();
    for row in &rows {
        if let (Some(until), Some(why)) = (row.paused_until.filter(|until| *until > now), &row.pause_reason) {
            let why = format!("{} is paused: {why}", breaker::name(provider, &row.model));
            found.push(Obstacle { what: "pause", why, until: Some(until) });
        }
    }
    let in_flight = gates::in_flight(conn, provider).await?;
    for row in &rows {
        let flying: i64 = match row.model.as_str() {
            WHOLE_ACCOUNT => in_flight.values().sum(),
            model => in_flight.get(model).copied().unwrap_or(0),
        };
        if let Some(most) = row.most(now).filter(|most| flying >= *most) {
            let why = format!(
                "{} has {most} predictions in flight, as many as it may",
                breaker::name(provider, &row.model)
            );
            found.push(Obstacle { what: "in_flight", why, until: None });
        }
    }
    for row in &rows {
        let due = row.gate(now, 0).earliest(now);
        if let Some(rate) =
            row.rate(now).filter(|_| due > now && row.paused_until.is_none_or(|until| until < due))
        {
            let why = format!("{} takes {rate} calls a minute", breaker::name(provider, &row.model));
            found.push(Obstacle { what: "rate", why, until: Some(due) });
        }
    }
    Ok(found)
}
