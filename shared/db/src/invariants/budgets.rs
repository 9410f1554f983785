//! What the budgets say they hold and have settled is what the purchases hold and the ledger has settled.
//!
//! A budget has settled the cost of every purchase of its scope that was held since its first period began, and those for everything also
//! what orphans cost. To sum up the whole ledger each time would cost more with each purchase, so the sum up to a moment is kept (a
//! [`Base`]) and only what came later is added. That moment lies before the oldest transaction that is open, so nothing can be booked
//! behind it any more.

use super::{Broken, MOST};
use crate::error::{DbError, Doing};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// Settlements that are summed up by one statement.
const SLICE: i64 = 20_000;
/// A base is carried on when it is older than this: until then what came later is few.
const STALE_S: f64 = 3600.0;

/// What a budget must have settled of what was booked before a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    budget: i64,
    /// Beginning of its first period; none: of all time. With other days it is another base.
    begins_at: Option<DateTime<Utc>>,
    /// Everything booked before this is in it.
    upto: Option<DateTime<Utc>>,
    settled: i64,
    /// Costs of imported purchases: counted by a budget that was made after the import, and by no other.
    imported: i64,
    /// What the budget is called, once it differed from this base. Then the base is worked out anew, and believed from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    doubted: Option<String>,
}

impl Base {
    const fn new(budget: i64, begins_at: Option<DateTime<Utc>>) -> Self {
        Self { budget, begins_at, upto: begins_at, settled: 0, imported: 0, doubted: None }
    }
}

/// The budgets as they are, and how far their bases may be carried on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budgets {
    /// By budget: its id and when its first period began.
    begun: Vec<(i64, Option<DateTime<Utc>>)>,
    /// Nothing can be booked before this any more.
    over: DateTime<Utc>,
    now: DateTime<Utc>,
}

impl Budgets {
    /// Reads them.
    pub async fn read(conn: &mut PgConnection) -> Result<Self, DbError> {
        const DOING: &str = "look when the budgets began";
        // Transactions of other users are seen only by members of pg_monitor; what books money is one user's.
        let clock = sqlx::query!(
            r#"SELECT now() AS "now!", least(now() - interval '15 minutes', (
                   SELECT min(xact_start) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid())) AS "over!""#
        )
        .fetch_one(&mut *conn)
        .await
        .doing(DOING)?;
        let rows = sqlx::query!(
            r#"SELECT b.id, nullif(CASE WHEN min(bp.starts_on) = '-infinity' THEN timestamptz '-infinity'
                                        ELSE min(bp.starts_on)::timestamp AT TIME ZONE b.zone END, '-infinity') AS begins_at
               FROM budgets b JOIN budget_periods bp ON bp.budget_id = b.id GROUP BY b.id ORDER BY b.id"#
        )
        .fetch_all(conn)
        .await
        .doing(DOING)?;
        Ok(Self {
            begun: rows.into_iter().map(|row| (row.id, row.begins_at)).collect(),
            over: clock.over,
            now: clock.now,
        })
    }

    /// Drops the bases of budgets that are gone or have other days, and adds empty ones for those that have none.
    pub fn fit(&self, bases: &mut Vec<Base>) {
        let mut kept: BTreeMap<i64, Base> = bases.drain(..).map(|base| (base.budget, base)).collect();
        bases.extend(self.begun.iter().map(|(budget, begins_at)| {
            let same = kept.remove(budget).filter(|base| base.begins_at == *begins_at);
            same.unwrap_or_else(|| Base::new(*budget, *begins_at))
        }));
    }

    /// A base that lags so little that what came later can be added each time.
    fn is_current(&self, base: &Base) -> bool {
        let newest = self.over - chrono::TimeDelta::seconds(STALE_S as i64);
        base.upto.is_some_and(|upto| upto >= newest)
    }
}

/// Carries the bases that lag most behind on by one slice of the ledger. False: none lags.
pub async fn next_slice(
    conn: &mut PgConnection,
    budgets: &Budgets,
    bases: &mut [Base],
) -> Result<bool, DbError> {
    const DOING: &str = "sum up a part of the ledger";
    let lagging = bases.iter().filter(|base| !budgets.is_current(base));
    let Some(from) = lagging.map(|base| base.upto).min() else { return Ok(false) };
    // Bases that begin later join when the slice comes to them.
    let next = bases.iter().map(|base| base.upto).filter(|upto| *upto > from).min().flatten();
    let end = sqlx::query_scalar!(
        r#"SELECT at FROM ledger WHERE kind = 'settle' AND at >= coalesce($1::timestamptz, '-infinity') ORDER BY at OFFSET $2 LIMIT 1"#,
        from,
        SLICE
    )
    .fetch_optional(&mut *conn)
    .await
    .doing(DOING)?;
    // So many at one moment (an import) are taken together.
    let end = if end.is_some() && end == from {
        sqlx::query_scalar!("SELECT min(at) FROM ledger WHERE kind = 'settle' AND at > $1", from)
            .fetch_one(&mut *conn)
            .await
            .doing(DOING)?
    } else {
        end
    };
    let upto = [end, next].into_iter().flatten().fold(budgets.over, Ord::min);
    let ids: Vec<i64> = bases.iter().filter(|base| base.upto == from).map(|base| base.budget).collect();
    for sum in sums(conn, &ids, from, Some(upto)).await? {
        if let Some(base) = bases.iter_mut().find(|base| base.budget == sum.budget) {
            base.settled += sum.settled;
            base.imported += sum.imported;
        }
    }
    for base in bases.iter_mut().filter(|base| base.upto == from) {
        base.upto = Some(upto);
    }
    Ok(true)
}

struct Sum {
    budget: i64,
    settled: i64,
    imported: i64,
}

/// What these budgets must have settled of what was booked in a span. Which period a purchase belongs to is told by when it was held.
async fn sums(
    conn: &mut PgConnection,
    budgets: &[i64],
    from: Option<DateTime<Utc>>,
    upto: Option<DateTime<Utc>>,
) -> Result<Vec<Sum>, DbError> {
    sqlx::query_as!(
        Sum,
        r#"WITH begun AS MATERIALIZED (
               SELECT b.id, b.scope, b.scope_key, CASE WHEN min(bp.starts_on) = '-infinity' THEN timestamptz '-infinity'
                                                       ELSE min(bp.starts_on)::timestamp AT TIME ZONE b.zone END AS begins_at
               FROM budgets b JOIN budget_periods bp ON bp.budget_id = b.id WHERE b.id = ANY($1) GROUP BY b.id),
           booked AS MATERIALIZED (
               SELECT s.micros, r.at AS held_at, coalesce(r.client_id, s.client_id)::text AS client, coalesce(r.campaign_id, s.campaign_id)::text AS campaign,
                      s.job_id::text AS job, s.at
               FROM ledger s LEFT JOIN ledger r ON r.prediction_id = s.prediction_id AND r.kind = 'reserve'
               WHERE s.kind = 'settle' AND s.at >= coalesce($2::timestamptz, '-infinity') AND s.at < coalesce($3::timestamptz, 'infinity'))
           SELECT b.id AS "budget!", coalesce(sum(k.micros) FILTER (WHERE k.held_at >= b.begins_at), 0)::bigint AS "settled!",
                  coalesce(sum(k.micros) FILTER (WHERE k.held_at IS NULL AND k.at >= b.begins_at), 0)::bigint AS "imported!"
           FROM booked k
           CROSS JOIN LATERAL (VALUES ('all', ''), ('client', k.client), ('campaign', k.campaign), ('job', k.job)) v (scope, key)
           JOIN begun b ON b.scope = v.scope AND b.scope_key = v.key
           GROUP BY b.id"#,
        budgets,
        from,
        upto,
    )
    .fetch_all(conn)
    .await
    .doing("sum up a part of the ledger")
}

/// Budgets that have settled something else than they must. One whose base lags is passed over, unless it is in doubt.
pub async fn settled(
    conn: &mut PgConnection,
    budgets: &Budgets,
    bases: &mut [Base],
) -> Result<Vec<Broken>, DbError> {
    let differing = differing(conn, budgets, bases).await?;
    let mut broken = Vec::new();
    for base in bases {
        let differs = differing.iter().find(|(budget, _)| *budget == base.budget);
        match differs {
            // Could be a base that is wrong: nothing may be booked behind it, but nobody can forbid it.
            Some((_, subject)) if base.doubted.is_none() => {
                *base = Base { doubted: Some(subject.clone()), ..Base::new(base.budget, base.begins_at) };
            }
            None if budgets.is_current(base) => base.doubted = None,
            _ => {}
        }
        broken.extend(
            base.doubted
                .iter()
                .map(|subject| Broken { invariant: "budget_settled", subject: subject.clone() }),
        );
    }
    Ok(broken)
}

/// By budget, and what each is called.
async fn differing(
    conn: &mut PgConnection,
    budgets: &Budgets,
    bases: &[Base],
) -> Result<Vec<(i64, String)>, DbError> {
    const DOING: &str = "compare the budgets with the ledger";
    let current: Vec<&Base> = bases.iter().filter(|base| budgets.is_current(base)).collect();
    let ids: Vec<i64> = current.iter().map(|base| base.budget).collect();
    let upto: Vec<DateTime<Utc>> = current.iter().map(|base| base.upto.unwrap_or(budgets.now)).collect();
    let settled: Vec<i64> = current.iter().map(|base| base.settled).collect();
    let imported: Vec<i64> = current.iter().map(|base| base.imported).collect();
    // One statement, so that budgets and ledger are of one moment.
    let rows = sqlx::query!(
        r#"WITH base AS MATERIALIZED (
               SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::bigint[], $4::bigint[]) AS u (id, upto, settled, imported)),
           begun AS MATERIALIZED (
               SELECT b.id, b.scope, b.scope_key, b.period, base.upto, base.settled, base.imported, sum(bp.settled_micros)::bigint AS says,
                      CASE WHEN min(bp.starts_on) = '-infinity' THEN timestamptz '-infinity' ELSE min(bp.starts_on)::timestamp AT TIME ZONE b.zone END AS begins_at
               FROM base JOIN budgets b ON b.id = base.id JOIN budget_periods bp ON bp.budget_id = b.id
               GROUP BY b.id, base.upto, base.settled, base.imported),
           booked AS MATERIALIZED (
               SELECT s.micros, r.at AS held_at, coalesce(r.client_id, s.client_id)::text AS client, coalesce(r.campaign_id, s.campaign_id)::text AS campaign,
                      s.job_id::text AS job, s.at
               FROM ledger s LEFT JOIN ledger r ON r.prediction_id = s.prediction_id AND r.kind = 'reserve'
               WHERE s.kind = 'settle' AND s.at >= (SELECT min(upto) FROM base)),
           later AS (
               SELECT b.id, sum(k.micros) FILTER (WHERE k.held_at >= b.begins_at) AS settled,
                      sum(k.micros) FILTER (WHERE k.held_at IS NULL AND k.at >= b.begins_at) AS imported
               FROM booked k
               CROSS JOIN LATERAL (VALUES ('all', ''), ('client', k.client), ('campaign', k.campaign), ('job', k.job)) v (scope, key)
               JOIN begun b ON b.scope = v.scope AND b.scope_key = v.key AND k.at >= b.upto
               GROUP BY b.id)
           SELECT b.id, concat_ws(' ', b.scope, nullif(b.scope_key, ''), b.period) AS "subject!"
           FROM begun b LEFT JOIN later l ON l.id = b.id
           CROSS JOIN LATERAL (
               SELECT b.settled + coalesce(l.settled, 0) + CASE b.scope WHEN 'all' THEN
                          coalesce((SELECT sum(o.micros) FROM orphan_costs o WHERE o.at >= b.begins_at), 0) ELSE 0 END AS least,
                      b.imported + coalesce(l.imported, 0) AS more) must
           WHERE b.says NOT BETWEEN must.least AND must.least + must.more
           ORDER BY 1 LIMIT $5"#,
        &ids,
        &upto,
        &settled,
        &imported,
        MOST
    )
    .fetch_all(conn)
    .await
    .doing(DOING)?;
    Ok(rows.into_iter().map(|row| (row.id, row.subject)).collect())
}

/// Periods that hold another amount than the purchases that they hold it for.
pub async fn held(conn: &mut PgConnection) -> Result<Vec<Broken>, DbError> {
    let rows = sqlx::query_scalar!(
        r#"SELECT concat_ws(' ', b.scope, nullif(b.scope_key, ''), b.period, nullif(bp.starts_on, '-infinity')) AS "subject!"
           FROM budget_periods bp JOIN budgets b ON b.id = bp.budget_id
           LEFT JOIN (SELECT budget_id, starts_on, sum(micros) AS micros FROM budget_holds GROUP BY 1, 2) h
               ON h.budget_id = bp.budget_id AND h.starts_on = bp.starts_on
           WHERE bp.reserved_micros <> coalesce(h.micros, 0) ORDER BY 1 LIMIT $1"#,
        MOST
    )
    .fetch_all(conn)
    .await
    .doing("compare the budgets with what they hold")?;
    Ok(rows.into_iter().map(|subject| Broken { invariant: "budget_reserved", subject }).collect())
}

/// Purchases that are over and for which money is still held.
pub async fn hold_ended(conn: &mut PgConnection) -> Result<Vec<Broken>, DbError> {
    let ids = sqlx::query_scalar!(
        "SELECT DISTINCT p.id FROM budget_holds h JOIN predictions p ON p.id = h.prediction_id
         WHERE p.state NOT IN ('intent', 'submitted', 'unknown', 'in_doubt') LIMIT $1",
        MOST
    )
    .fetch_all(conn)
    .await
    .doing("look for money that is held for nothing")?;
    Ok(ids.into_iter().map(|id| Broken { invariant: "hold_ended", subject: id.to_string() }).collect())
}
