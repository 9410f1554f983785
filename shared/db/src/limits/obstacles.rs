//! What stands in the way of a paid call at this moment, in words and with times.

use super::breaker::By;
use super::{WHOLE_ACCOUNT, breaker, gates};
use crate::error::{DbError, Doing};
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

/// All that stands in the way of a call of this model by this task, the firmest first. None: it may go now.
pub async fn obstacles(
    conn: &mut PgConnection,
    provider: &str,
    model: &str,
    task_id: i64,
) -> Result<Vec<Obstacle>, DbError> {
    const DOING: &str = "look for what is in the way";
    let now = gates::clock(conn).await?;
    let mut found = Vec::new();
    for open in breaker::not_closed(conn, provider).await? {
        if open.model != WHOLE_ACCOUNT && open.model != model {
            continue;
        }
        let name = breaker::name(provider, &open.model);
        let (why, until) = match (open.by, &open.probe) {
            (By::Operator, _) => (format!("an operator holds {name} back: {}", open.why), None),
            (_, Some((task, until))) if open.until <= now => {
                let whose = if *task == task_id { "this task" } else { "another task" };
                (format!("{name} is tried again with {whose}: {}", open.why), Some(*until))
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
    let turn = sqlx::query!("SELECT turn_at, since FROM limit_waits WHERE task_id = $1", task_id)
        .fetch_optional(&mut *conn)
        .await
        .doing(DOING)?;
    let turn_at = turn.as_ref().and_then(|row| row.turn_at);
    for row in &rows {
        let due = row.gate(now, 0).earliest(now);
        if let Some(rate) =
            row.rate(now).filter(|_| due > now && row.paused_until.is_none_or(|until| until < due))
        {
            let why = format!("{} takes {rate} calls a minute", breaker::name(provider, &row.model));
            found.push(Obstacle { what: "rate", why, until: Some(turn_at.unwrap_or(due)) });
        }
    }
    if let Some(waiting) = turn.filter(|row| row.turn_at.is_none()) {
        let before = sqlx::query_scalar!(
            r#"SELECT count(*) AS "n!" FROM limit_waits WHERE provider = $1 AND turn_at IS NULL AND since < $2"#,
            provider,
            waiting.since
        )
        .fetch_one(conn)
        .await
        .doing(DOING)?;
        let why = format!("{before} tasks have waited longer for {provider}; clients take turns");
        found.push(Obstacle { what: "line", why, until: None });
    }
    Ok(found)
}
