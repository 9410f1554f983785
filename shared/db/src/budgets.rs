//! What may be spent: limits per scope and period, what is left of them, and the emergency stop.

use crate::error::{DbError, Doing};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use spool_job::money::Micros;
use sqlx::PgConnection;
use uuid::Uuid;

pub use crate::budget_change::{Change, NoBudget};
pub use crate::spend_stop::{NO_REASON, Stop, go_on, stop, stopped};
pub(crate) use crate::spend_waits::job_waits_no_more;
pub use crate::spend_waits::{
    Place, Wish, job_waits, offer, offer_while_spending, place, places, wait, waits_no_more,
};

/// Whose spending is limited.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    All,
    Client(Uuid),
    Campaign(Uuid),
    Job(i64),
}

impl Scope {
    /// The word for it in the database and in JSON.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Client(_) => "client",
            Self::Campaign(_) => "campaign",
            Self::Job(_) => "job",
        }
    }

    /// The id of what it names; empty for all.
    pub fn key(&self) -> String {
        match self {
            Self::All => String::new(),
            Self::Client(id) | Self::Campaign(id) => id.to_string(),
            Self::Job(id) => id.to_string(),
        }
    }

    /// The scope of a word and an id, if they make one.
    pub fn parse(word: &str, key: &str) -> Option<Self> {
        Some(match word {
            "all" if key.is_empty() => Self::All,
            "client" => Self::Client(key.parse().ok()?),
            "campaign" => Self::Campaign(key.parse().ok()?),
            "job" => Self::Job(key.parse().ok()?),
            _ => return None,
        })
    }
}

/// How long the money has to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    Day,
    Month,
    Total,
}

impl Period {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    /// As in "the daily limit".
    pub const fn adjective(self) -> &'static str {
        match self {
            Self::Day => "daily",
            Self::Month => "monthly",
            Self::Total => "total",
        }
    }

    pub(crate) fn parse(word: &str) -> Result<Self, DbError> {
        match word {
            "day" => Ok(Self::Day),
            "month" => Ok(Self::Month),
            "total" => Ok(Self::Total),
            other => {
                Err(DbError::Unreadable { operation: "read a budget", what: format!("period {other:?}") })
            }
        }
    }
}

/// A limit, as it is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    pub scope: Scope,
    pub period: Period,
    /// IANA name of the time zone whose days and months count.
    pub zone: String,
    /// Above this an alert is raised.
    pub soft: Option<Micros>,
    /// Above this nothing is bought.
    pub hard: Option<Micros>,
}

/// A budget and what its present period has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub budget: Budget,
    /// First day of the period; none for a total.
    pub starts_on: Option<NaiveDate>,
    /// When the next period begins.
    pub turns_at: Option<DateTime<Utc>>,
    pub reserved: Micros,
    pub settled: Micros,
    /// When this period passed the soft limit, if it has.
    pub soft_passed_at: Option<DateTime<Utc>>,
}

impl Standing {
    /// What the hard limit leaves; none where there is none.
    pub fn left(&self) -> Option<Micros> {
        self.budget.hard.map(|hard| Micros((hard.0 - self.reserved.0 - self.settled.0).max(0)))
    }
}

/// A budget that cannot hold what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    pub scope: Scope,
    pub period: Period,
    pub hard: Micros,
    /// By how much the limit would be passed.
    pub missing: Micros,
    /// When its period turns; none for a total.
    pub turns_at: Option<DateTime<Utc>>,
}

/// Whether money may be spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is held in every budget that applies.
    Held,
    /// Nothing is held: these budgets lack money.
    Short(Vec<Shortfall>),
    /// Nothing is held: somebody has stopped all spending.
    Stopped { why: String },
}

/// Holds `micros` for a prediction of a job, in every budget that applies or in none.
pub async fn reserve(
    conn: &mut PgConnection,
    prediction: Uuid,
    job_id: i64,
    micros: Micros,
) -> Result<Decision, DbError> {
    const DOING: &str = "reserve money";
    if let Some(stop) = stopped(conn).await? {
        return Ok(Decision::Stopped { why: stop.why });
    }
    let rows = sqlx::query!(
        r#"SELECT r.scope AS "scope!", r.scope_key AS "key!", r.period AS "period!", r.hard_micros AS "hard!",
                  r.missing_micros AS "missing!", r.turns_at
           FROM jobs j, budget_reserve($1, j.client_id::text, j.campaign_id::text, j.id::text, $3) r WHERE j.id = $2"#,
        prediction,
        job_id,
        micros.0,
    )
    .fetch_all(conn)
    .await
    .doing(DOING)?;
    if rows.is_empty() {
        return Ok(Decision::Held);
    }
    let short = rows.into_iter().map(|row| {
        Ok(Shortfall {
            scope: scope(&row.scope, &row.key)?,
            period: Period::parse(&row.period)?,
            hard: Micros(row.hard),
            missing: Micros(row.missing),
            turns_at: row.turns_at,
        })
    });
    Ok(Decision::Short(short.collect::<Result<_, DbError>>()?))
}

fn scope(word: &str, key: &str) -> Result<Scope, DbError> {
    Scope::parse(word, key).ok_or_else(|| DbError::Unreadable {
        operation: "read a budget",
        what: format!("scope {word} {key}"),
    })
}

/// Ends what a prediction holds: `cost` counts instead.
pub(crate) async fn settle(conn: &mut PgConnection, prediction: Uuid, cost: Micros) -> Result<(), DbError> {
    sqlx::query!("SELECT budget_settle($1, $2)", prediction, cost.0)
        .execute(conn)
        .await
        .doing("settle a budget")?;
    Ok(())
}

/// Counts what was billed and never reserved in the budgets for everything.
pub(crate) async fn bill(conn: &mut PgConnection, cost: Micros) -> Result<(), DbError> {
    sqlx::query!("SELECT budget_bill($1)", cost.0).execute(conn).await.doing("bill the budgets")?;
    Ok(())
}

/// Keeps money from being held or settled until this transaction ends, once what is under way has ended: what is then counted is all
/// there is. For changes of budgets, and before anything else is locked.
pub async fn lock(conn: &mut PgConnection) -> Result<(), DbError> {
    sqlx::query!("SELECT budgets_alone()").execute(conn).await.doing("lock the budgets")?;
    Ok(())
}

/// Sets a budget; the present period is bound by the new limit at once. A new budget counts what its period has seen, and so does
/// one whose days begin at another time now. The zone must be one that [`knows_zone`].
pub async fn set(conn: &mut PgConnection, budget: &Budget) -> Result<(), DbError> {
    const DOING: &str = "set a budget";
    lock(conn).await?;
    let row = sqlx::query!(
        r#"WITH before AS (SELECT zone FROM budgets WHERE scope = $1 AND scope_key = $2 AND period = $3)
           INSERT INTO budgets (scope, scope_key, period, zone, soft_micros, hard_micros) VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (scope, scope_key, period) DO UPDATE
           SET zone = excluded.zone, soft_micros = excluded.soft_micros, hard_micros = excluded.hard_micros, updated_at = now()
           RETURNING id, (SELECT zone FROM before) IS DISTINCT FROM $4 AS "other_days!""#,
        budget.scope.word(),
        budget.scope.key(),
        budget.period.as_str(),
        budget.zone,
        budget.soft.map(|micros| micros.0),
        budget.hard.map(|micros| micros.0),
    )
    .fetch_one(&mut *conn)
    .await
    .doing(DOING)?;
    if row.other_days {
        sqlx::query!("SELECT budget_recount($1)", row.id).execute(&mut *conn).await.doing(DOING)?;
    }
    // The present period and the next: a reservation just after the turn must not meet the old limit.
    sqlx::query!(
        "INSERT INTO budget_periods (budget_id, starts_on, hard_micros)
         SELECT DISTINCT b.id, p.starts_on, b.hard_micros
         FROM budgets b, unnest(ARRAY[now(), coalesce((budget_period(b.period, b.zone, now())).turns_at, now())]) AS at, budget_period(b.period, b.zone, at) p
         WHERE b.id = $1
         ON CONFLICT (budget_id, starts_on) DO UPDATE SET hard_micros = excluded.hard_micros",
        row.id
    )
    .execute(conn)
    .await
    .doing(DOING)?;
    Ok(())
}

/// Removes a budget; nothing limits its scope for this period any more. Says whether there was one.
pub async fn remove(conn: &mut PgConnection, scope: &Scope, period: Period) -> Result<bool, DbError> {
    let gone = sqlx::query!(
        "DELETE FROM budgets WHERE scope = $1 AND scope_key = $2 AND period = $3",
        scope.word(),
        scope.key(),
        period.as_str()
    )
    .execute(conn)
    .await
    .doing("remove a budget")?;
    Ok(gone.rows_affected() > 0)
}

/// Whether Postgres knows this time zone by its IANA name.
pub async fn knows_zone(conn: &mut PgConnection, zone: &str) -> Result<bool, DbError> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM pg_timezone_names WHERE name = $1) AS "known!""#, zone)
        .fetch_one(conn)
        .await
        .doing("look up a time zone")
}

/// One budget.
pub async fn show(
    conn: &mut PgConnection,
    scope: &Scope,
    period: Period,
) -> Result<Option<Standing>, DbError> {
    let all = list(conn).await?;
    Ok(all.into_iter().find(|standing| standing.budget.scope == *scope && standing.budget.period == period))
}

/// All budgets with what their present period has seen, widest scope first.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<Standing>, DbError> {
    standings(conn, true, [None, None, None], None, 0).await
}

/// A page of that list, and how many there are in all.
pub async fn page(conn: &mut PgConnection, limit: i64, offset: i64) -> Result<(Vec<Standing>, i64), DbError> {
    let total = sqlx::query_scalar!(r#"SELECT count(*) AS "total!" FROM budgets"#)
        .fetch_one(&mut *conn)
        .await
        .doing("count the budgets")?;
    Ok((standings(conn, true, [None, None, None], Some(limit), offset).await?, total))
}

/// The budgets that bind the spending of a job of this client and campaign, widest scope first; without a job, of one to be.
pub async fn applying(
    conn: &mut PgConnection,
    client: Option<Uuid>,
    campaign: Option<Uuid>,
    job: Option<i64>,
) -> Result<Vec<Standing>, DbError> {
    let whose =
        [client.map(|id| id.to_string()), campaign.map(|id| id.to_string()), job.map(|id| id.to_string())];
    standings(conn, false, whose, None, 0).await
}

async fn standings(
    conn: &mut PgConnection,
    everybody: bool,
    [client, campaign, job]: [Option<String>; 3],
    limit: Option<i64>,
    offset: i64,
) -> Result<Vec<Standing>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT b.scope, b.scope_key, b.period, b.zone, b.soft_micros, b.hard_micros,
                  nullif(p.starts_on, '-infinity') AS starts_on, p.turns_at,
                  coalesce(bp.reserved_micros, 0) AS "reserved!", coalesce(bp.settled_micros, 0) AS "settled!", a.at AS "soft_passed_at?"
           FROM budgets b CROSS JOIN LATERAL budget_period(b.period, b.zone, now()) p
           LEFT JOIN budget_periods bp ON bp.budget_id = b.id AND bp.starts_on = p.starts_on
           LEFT JOIN budget_alerts a ON a.budget_id = b.id AND a.starts_on = p.starts_on
           WHERE $1 OR (b.scope, b.scope_key) IN (('all', ''), ('client', $2), ('campaign', $3), ('job', $4))
           ORDER BY array_position(ARRAY['all', 'client', 'campaign', 'job'], b.scope), b.scope_key, b.period
           LIMIT $5 OFFSET $6"#,
        everybody,
        client,
        campaign,
        job,
        limit,
        offset,
    )
    .fetch_all(conn)
    .await
    .doing("list the budgets")?;
    rows.into_iter()
        .map(|row| {
            Ok(Standing {
                budget: Budget {
                    scope: scope(&row.scope, &row.scope_key)?,
                    period: Period::parse(&row.period)?,
                    zone: row.zone,
                    soft: row.soft_micros.map(Micros),
                    hard: row.hard_micros.map(Micros),
                },
                starts_on: row.starts_on,
                turns_at: row.turns_at,
                reserved: Micros(row.reserved),
                settled: Micros(row.settled),
                soft_passed_at: row.soft_passed_at,
            })
        })
        .collect()
}
