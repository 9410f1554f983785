//! What a job costs: the estimate with its arithmetic, what experience says beside it, what is spent, and the budgets it must fit in.

use chrono::{DateTime, Utc};
use serde::Serialize;
use spool_db::budgets::{self, Scope, Standing};
use spool_db::error::DbError;
use spool_db::jobs::{self, JobRow};
use spool_db::ledger::JobMoney;
use spool_db::predictions::memo;
use spool_job::estimate::{Estimate, Line};
use spool_job::money::Micros;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::routes::admin::budgets::body::Amount;

/// Dollars, for people; the exact sum is in micro-dollars.
#[derive(Debug, Serialize, ToSchema)]
pub struct Costs {
    /// What it is thought to cost, in dollars.
    pub estimated: f64,
    pub currency: &'static str,
    /// The same in micro-dollars.
    pub estimated_micros: i64,
    /// What 95 of 100 such jobs cost at most, in micro-dollars, once enough was bought to tell; more of it is held than the list
    /// price where it is more.
    pub learned_p95_micros: Option<i64>,
    /// What has been spent so far, in dollars.
    pub settled: f64,
    /// The same in micro-dollars.
    pub settled_micros: i64,
    /// What is held for calls whose cost is not known yet, in micro-dollars.
    pub reserved_micros: i64,
    /// Outputs that were not bought, because an earlier purchase had left the same in the store.
    pub reused_outputs: i64,
    /// What those had cost when they were bought, in micro-dollars.
    pub reused_micros: i64,
    /// The arithmetic: quantity times list price, line by line.
    pub lines: Vec<CostLine>,
    /// The budgets that bind it and whether what is still to be bought fits in each, as of this answer or a moment before it; none
    /// once it has ended, and none in lists.
    pub budgets: Vec<BudgetFit>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CostLine {
    pub item: String,
    pub quantity: f64,
    pub unit: String,
    pub unit_micros: i64,
    pub micros: i64,
    /// What 95 of 100 such lines cost at most, once enough were bought to tell.
    pub learned_p95_micros: Option<i64>,
}

impl From<&Line> for CostLine {
    fn from(line: &Line) -> Self {
        Self {
            item: line.item.clone(),
            quantity: line.quantity,
            unit: line.unit.clone(),
            unit_micros: line.unit_micros.0,
            micros: line.micros.0,
            learned_p95_micros: line.learned_p95_micros.map(|micros| micros.0),
        }
    }
}

/// A budget, and whether something fits in it now.
#[derive(Debug, Serialize, ToSchema)]
pub struct BudgetFit {
    /// `all`, `client`, `campaign` or `job`.
    pub scope: &'static str,
    /// Id of the client, campaign or job; empty for `all`.
    pub scope_id: String,
    /// `day`, `month` or `total`.
    pub period: &'static str,
    pub fits: bool,
    /// What its hard limit leaves; none where it has none, or where the key may not know.
    pub left: Option<Amount>,
    /// By how much the hard limit would be passed.
    pub missing: Option<Amount>,
    /// When its period turns: what does not fit waits until then, or until the limit is raised.
    pub turns_at: Option<DateTime<Utc>>,
}

impl BudgetFit {
    /// Whether `micros` fit in each of these.
    pub fn all(budgets: Vec<Standing>, micros: Micros, caller: &Caller) -> Vec<Self> {
        budgets.into_iter().map(|standing| Self::of(standing, micros, caller)).collect()
    }

    fn of(standing: Standing, micros: Micros, caller: &Caller) -> Self {
        let left = standing.left();
        let missing = left.map(|left| micros.0 - left.0).filter(|missing| *missing > 0);
        // What all clients have spent together is not for one of them to know.
        let shown = left.filter(|_| caller.client.is_none() || standing.budget.scope != Scope::All);
        Self {
            scope: standing.budget.scope.word(),
            scope_id: standing.budget.scope.key(),
            period: standing.budget.period.as_str(),
            fits: missing.is_none(),
            left: shown.map(Amount::from),
            missing: missing.map(|missing| Micros(missing).into()),
            turns_at: standing.turns_at,
        }
    }
}

impl Costs {
    /// Of a job, given the budgets that bind it.
    pub fn of_job(job: &JobRow, budgets: Vec<Standing>, caller: &Caller) -> Self {
        Self::of(&job.estimate, job.money, budgets, caller)
    }

    /// Of a job as it stands: the budgets that bind it are read, unless it has ended.
    pub async fn now(conn: &mut PgConnection, job: &JobRow, caller: &Caller) -> Result<Self, DbError> {
        let budgets = if job.state.is_final() {
            Vec::new()
        } else {
            budgets::applying(conn, job.client_id, job.campaign_id, Some(job.id)).await?
        };
        Ok(Self::of_job(job, budgets, caller))
    }

    /// Of a job that the caller may see, after a change to it.
    pub async fn reread(conn: &mut PgConnection, id: i64, caller: &Caller) -> Result<Self, ApiError> {
        let job = jobs::show(conn, id, caller.client).await?;
        let job = job.ok_or_else(|| ApiError::not_found("job", id).with("job_id", id))?;
        let reused = memo::of_job(conn, id).await?;
        let costs = Self::now(conn, &job, caller).await?;
        Ok(Self { reused_outputs: reused.outputs, reused_micros: reused.saved.0, ..costs })
    }

    pub fn of(estimate: &Estimate, money: JobMoney, budgets: Vec<Standing>, caller: &Caller) -> Self {
        let to_buy = Micros((estimate.held().0 - money.settled.0 - money.reserved.0).max(0));
        Self {
            estimated: estimate.total_micros.dollars(),
            currency: "USD",
            estimated_micros: estimate.total_micros.0,
            learned_p95_micros: estimate.learned_p95_micros.map(|micros| micros.0),
            settled: money.settled.dollars(),
            settled_micros: money.settled.0,
            reserved_micros: money.reserved.0,
            reused_outputs: 0,
            reused_micros: 0,
            lines: estimate.lines.iter().map(CostLine::from).collect(),
            budgets: BudgetFit::all(budgets, to_buy, caller),
        }
    }
}
