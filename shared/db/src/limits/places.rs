//! Where the tasks of a job stand in the line before a provider, counted as the plan gives turns, and the soonest that theirs can
//! come.

use super::gates::{self, Row};
use super::plan::Moment;
use super::{Obstacle, WHOLE_ACCOUNT};
use crate::error::{DbError, Doing};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use std::collections::HashMap;

/// A task's place in the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InLine {
    pub provider: String,
    /// Turns that come before its own, as things stand now: those that are given, then clients in turn by weight. What waits for a
    /// model that is paused or whose breaker is open goes after what does not, for it holds up nobody.
    pub ahead: u64,
    /// When its turn comes, once it has one.
    pub turn_at: Option<DateTime<Utc>>,
    /// No turn of its own comes sooner, at the rate of the account; none where no rate is known.
    pub soonest: Option<DateTime<Utc>>,
}

impl InLine {
    /// The line as what stands in the task's way.
    pub fn obstacle(&self) -> Obstacle {
        let provider = &self.provider;
        let why = match (self.turn_at, self.ahead) {
            (Some(_), _) => format!("its turn with {provider} comes"),
            (None, 0) => format!("it has the next turn with {provider} that is given"),
            (None, 1) => format!("one task goes before it with {provider}; clients take turns"),
            (None, ahead) => format!("{ahead} tasks go before it with {provider}; clients take turns"),
        };
        Obstacle { what: "line", why, until: self.turn_at }
    }
}

/// The places of the tasks of a job that wait for turns. One statement where none does, and another for each provider.
pub async fn in_line(conn: &mut PgConnection, job_id: i64) -> Result<HashMap<i64, InLine>, DbError> {
    // As in `plan`: the k-th of a share starts k turns by its weight after what the share has had.
    let rows = sqlx::query!(
        r#"WITH waits AS (
               SELECT task_id, job_id, provider, model, share, since, CASE WHEN turn_ends >= statement_timestamp() THEN turn_at END AS turn_at,
                      EXISTS (SELECT FROM provider_limits l WHERE l.provider = w.provider AND l.class = 'create' AND l.model = w.model
                              AND l.paused_until > statement_timestamp())
                      OR EXISTS (SELECT FROM breakers b WHERE b.provider = w.provider AND b.model = w.model AND b.open_until IS NOT NULL) AS held
               FROM limit_waits w WHERE provider IN (SELECT provider FROM limit_waits WHERE job_id = $1)),
           line AS (
               SELECT w.task_id, w.job_id, w.provider, w.model, w.since, w.turn_at,
                      greatest(coalesce(s.served, 0), a.virtual_time)
                      + (row_number() OVER (PARTITION BY w.provider, w.share, w.turn_at IS NULL, w.held ORDER BY w.since, w.task_id) - 1)
                        / coalesce(s.weight, 1) AS tag, w.held
               FROM waits w
               LEFT JOIN provider_limits a ON a.provider = w.provider AND a.class = 'create' AND a.model = '*'
               LEFT JOIN limit_shares s ON s.provider = w.provider AND s.share = w.share),
           placed AS (
               SELECT *, row_number() OVER (PARTITION BY provider ORDER BY turn_at NULLS LAST, held, tag, since, task_id) - 1 AS ahead,
                      count(turn_at) OVER (PARTITION BY provider) AS given
               FROM line)
           SELECT task_id, provider, model, turn_at, ahead AS "ahead!", greatest(ahead - given, 0) AS "turns!" FROM placed WHERE job_id = $1"#,
        job_id
    )
    .fetch_all(&mut *conn)
    .await
    .doing("look where the tasks of a job stand in line")?;
    let mut limits: HashMap<String, (Moment, Vec<Row>)> = HashMap::new();
    let mut places = HashMap::with_capacity(rows.len());
    for row in rows {
        if !limits.contains_key(&row.provider) {
            let now = gates::clock(conn).await?;
            let found = gates::rows(conn, &row.provider, "create").await?;
            limits.insert(row.provider.clone(), (now, found));
        }
        let soonest = match (row.turn_at, limits.get(&row.provider)) {
            (None, Some((now, rows))) => soonest(rows, &row.model, *now, row.turns),
            _ => None,
        };
        let place =
            InLine { provider: row.provider, ahead: row.ahead.unsigned_abs(), turn_at: row.turn_at, soonest };
        places.insert(row.task_id, place);
    }
    Ok(places)
}

/// When so many turns of the account have passed, and no sooner than the model may be called at all.
fn soonest(rows: &[Row], model: &str, now: Moment, turns: i64) -> Option<Moment> {
    let gate = |name: &str| rows.iter().find(|row| row.model == name).map(|row| row.gate(now, 0));
    let account = gate(WHOLE_ACCOUNT)?;
    let wait = account.step?.checked_mul(i32::try_from(turns).unwrap_or(i32::MAX))?;
    let at = account.earliest(now).checked_add_signed(wait)?;
    Some(gate(model).map_or(at, |own| at.max(own.earliest(now))))
}
