//! What stands in the way of a paid call at this moment, in words and with times.

use super::breaker::By;
use super::{WHOLE_ACCOUNT, breaker, gates};
use crate::error::{DbError, Doing};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use std::collections::HashMap;

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

/// What the line itself means for the tasks of a job that wait in it: a turn that comes, or so many before them.
pub async fn in_line(conn: &mut PgConnection, job_id: i64) -> Result<HashMap<i64, Obstacle>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT w.task_id, w.provider, w.turn_at,
                  (SELECT count(*) FROM limit_waits b
                   WHERE b.provider = w.provider AND b.turn_at IS NULL AND b.since < w.since) AS "before!"
           FROM limit_waits w WHERE w.job_id = $1"#,
        job_id
    )
    .fetch_all(conn)
    .await
    .doing("look where the tasks of a job stand in line")?;
    let why = |provider: &str, turn_at: Option<DateTime<Utc>>, before: i64| {
        if turn_at.is_some() {
            format!("its turn with {provider} comes")
        } else {
            format!("{before} tasks have waited longer for {provider}; clients take turns")
        }
    };
    let obstacle = |provider: &str, turn_at, before| Obstacle {
        what: "line",
        why: why(provider, turn_at, before),
        until: turn_at,
    };
    Ok(rows.into_iter().map(|row| (row.task_id, obstacle(&row.provider, row.turn_at, row.before))).collect())
}
