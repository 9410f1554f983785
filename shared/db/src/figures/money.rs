//! What the budgets leave, and whether work waits for money.

use crate::error::{DbError, Doing};
use sqlx::PgConnection;

/// The tightest budgets of a scope and period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tightest {
    /// `all`, `client`, `campaign` or `job`.
    pub scope: String,
    /// `day`, `month` or `total`.
    pub period: String,
    /// Micro-dollars that the least of them leaves up to its soft limit; none where none has one.
    pub soft_left: Option<i64>,
    /// The same up to its hard limit.
    pub hard_left: Option<i64>,
    /// How many have passed their soft limit in this period.
    pub soft_passed: i64,
}

/// The budget for everything in one period, in micro-dollars.
#[derive(Debug, Clone, PartialEq)]
pub struct Everything {
    /// `day`, `month` or `total`.
    pub period: String,
    pub reserved: i64,
    pub settled: i64,
    pub soft: Option<i64>,
    pub hard: Option<i64>,
    /// Seconds until the period ends; none for a total.
    pub left_s: Option<f64>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Money {
    pub tightest: Vec<Tightest>,
    pub everything: Vec<Everything>,
    /// An operator has stopped all spending.
    pub stopped: bool,
    /// Purchases that wait for money.
    pub waits: i64,
}

/// Reads it.
pub async fn money(conn: &mut PgConnection) -> Result<Money, DbError> {
    const DOING: &str = "read what the budgets leave";
    let rows = sqlx::query!(
        r#"WITH standing AS (
               SELECT b.scope, b.period, b.soft_micros, b.hard_micros, coalesce(bp.reserved_micros, 0) AS reserved,
                      coalesce(bp.settled_micros, 0) AS settled, p.turns_at, a.at IS NOT NULL AS passed
               FROM budgets b CROSS JOIN LATERAL budget_period(b.period, b.zone, now()) p
               LEFT JOIN budget_periods bp ON bp.budget_id = b.id AND bp.starts_on = p.starts_on
               LEFT JOIN budget_alerts a ON a.budget_id = b.id AND a.starts_on = p.starts_on)
           SELECT scope, period, min(soft_micros - reserved - settled) AS soft_left, min(hard_micros - reserved - settled) AS hard_left,
                  count(*) FILTER (WHERE passed) AS "soft_passed!",
                  -- There is one budget for everything and period: these are its own.
                  max(reserved) AS "reserved!", max(settled) AS "settled!", max(soft_micros) AS soft, max(hard_micros) AS hard,
                  extract(epoch FROM max(turns_at) - now())::float8 AS left_s
           FROM standing GROUP BY scope, period"#
    )
    .fetch_all(&mut *conn)
    .await
    .doing(DOING)?;
    let waiting = sqlx::query!(
        r#"SELECT (SELECT count(*) FROM spend_waits) AS "waits!", EXISTS (SELECT FROM spend_stop) AS "stopped!""#
    )
    .fetch_one(conn)
    .await
    .doing(DOING)?;
    let everything = rows.iter().filter(|row| row.scope == "all").map(|row| Everything {
        period: row.period.clone(),
        reserved: row.reserved,
        settled: row.settled,
        soft: row.soft,
        hard: row.hard,
        left_s: row.left_s,
    });
    Ok(Money {
        everything: everything.collect(),
        tightest: rows
            .into_iter()
            .map(|row| Tightest {
                scope: row.scope,
                period: row.period,
                soft_left: row.soft_left,
                hard_left: row.hard_left,
                soft_passed: row.soft_passed,
            })
            .collect(),
        stopped: waiting.stopped,
        waits: waiting.waits,
    })
}
