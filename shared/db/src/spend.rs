//! Reports of what was spent: settled money by the time it was booked, from the ledger alone, and beside it what is still held for
//! purchases begun in the same days and what orphans cost.

use crate::error::{DbError, Doing};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use spool_job::money::Micros;
use sqlx::PgConnection;

/// What the rows of a report stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A day in the zone of the daily budget.
    Day,
    Client,
    Campaign,
    Model,
}

impl By {
    /// The word in addresses and in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Client => "client",
            Self::Campaign => "campaign",
            Self::Model => "model",
        }
    }
}

/// Whole days, from the first midnight to the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// First day.
    pub from: NaiveDate,
    /// Last day, whole.
    pub to: NaiveDate,
    /// IANA name of the zone whose days they are: that of the daily budget for everything.
    pub zone: String,
    begins_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
}

/// One row of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// A day, the id of a client or campaign, or a model; none for what belongs to no client or campaign (any more).
    pub key: Option<String>,
    /// Name of the client or campaign.
    pub name: Option<String>,
    /// Booked in the span.
    pub settled: Micros,
    /// Still held for purchases begun in the span.
    pub reserved: Micros,
    /// Purchases booked in the span.
    pub purchases: i64,
    /// What orphans cost that ended in the span: the provider bills it, but it is not in the ledger.
    pub beside_ledger: Micros,
}

/// The days of a report; those left out are the last thirty, today included.
pub async fn span(
    conn: &mut PgConnection,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
) -> Result<Span, DbError> {
    let row = sqlx::query!(
        r#"WITH z AS (SELECT COALESCE((SELECT zone FROM budgets WHERE scope = 'all' AND period = 'day'), 'UTC') AS zone),
                t AS (SELECT zone, COALESCE($2, (now() AT TIME ZONE zone)::date) AS last FROM z),
                d AS (SELECT zone, COALESCE($1, last - 29) AS first, last FROM t)
           SELECT zone AS "zone!", first AS "first!", last AS "last!",
                  first::timestamp AT TIME ZONE zone AS "begins_at!", (last + 1)::timestamp AT TIME ZONE zone AS "ends_at!"
           FROM d"#,
        from,
        to,
    )
    .fetch_one(conn)
    .await
    .doing("find the days of a report")?;
    Ok(Span { from: row.first, to: row.last, zone: row.zone, begins_at: row.begins_at, ends_at: row.ends_at })
}

impl Span {
    /// First moment, and the first one after it.
    pub(crate) fn bounds(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        (self.begins_at, self.ends_at)
    }
}

/// What was spent in a span: days in their order, everything else dearest first.
pub async fn report(conn: &mut PgConnection, by: By, span: &Span) -> Result<Vec<Line>, DbError> {
    let rows = sqlx::query!(
        r#"WITH booked AS (
               SELECT CASE $1 WHEN 'day' THEN (l.at AT TIME ZONE $2)::date::text WHEN 'client' THEN l.client_id::text
                              WHEN 'campaign' THEN l.campaign_id::text ELSE l.model END AS key,
                      sum(l.micros)::bigint AS settled, count(*) AS purchases
               FROM ledger l WHERE l.kind = 'settle' AND l.at >= $3 AND l.at < $4 GROUP BY 1),
           held AS (
               SELECT CASE $1 WHEN 'day' THEN (p.intent_at AT TIME ZONE $2)::date::text WHEN 'client' THEN j.client_id::text
                              WHEN 'campaign' THEN j.campaign_id::text ELSE p.model END AS key,
                      sum(p.estimate_micros)::bigint AS reserved
               FROM predictions p JOIN jobs j ON j.id = p.job_id
               WHERE p.state IN ('intent', 'submitted', 'unknown', 'in_doubt') AND p.intent_at >= $3 AND p.intent_at < $4 GROUP BY 1),
           beside AS (
               SELECT CASE $1 WHEN 'day' THEN (o.at AT TIME ZONE $2)::date::text WHEN 'client' THEN o.client_id::text
                              WHEN 'campaign' THEN o.campaign_id::text ELSE o.model END AS key,
                      sum(o.micros)::bigint AS beside
               FROM orphan_costs o WHERE o.at >= $3 AND o.at < $4 GROUP BY 1),
           -- The empty text stands for no client or campaign: a join finds no null.
           line AS (
               SELECT COALESCE(b.key, h.key, o.key, '') AS key, COALESCE(b.settled, 0) AS settled, COALESCE(b.purchases, 0) AS purchases,
                      COALESCE(h.reserved, 0) AS reserved, COALESCE(o.beside, 0) AS beside
               FROM booked b FULL JOIN held h ON COALESCE(h.key, '') = COALESCE(b.key, '')
                    FULL JOIN beside o ON COALESCE(o.key, '') = COALESCE(b.key, h.key, ''))
           SELECT NULLIF(line.key, '') AS key, COALESCE(c.name, k.name) AS name, line.settled AS "settled!",
                  line.purchases AS "purchases!", line.reserved AS "reserved!", line.beside AS "beside!"
           FROM line LEFT JOIN clients c ON $1 = 'client' AND c.id::text = line.key
                     LEFT JOIN campaigns k ON $1 = 'campaign' AND k.id::text = line.key
           ORDER BY CASE WHEN $1 = 'day' THEN line.key END, line.settled DESC, line.reserved DESC, line.key"#,
        by.as_str(),
        span.zone,
        span.begins_at,
        span.ends_at,
    )
    .fetch_all(conn)
    .await
    .doing("report what was spent")?;
    let line = rows.into_iter().map(|row| Line {
        key: row.key,
        name: row.name,
        settled: Micros(row.settled),
        reserved: Micros(row.reserved),
        purchases: row.purchases,
        beside_ledger: Micros(row.beside),
    });
    Ok(line.collect())
}
