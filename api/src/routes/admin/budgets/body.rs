//! The JSON of budgets: amounts as integers in micro-dollars, exact, and in dollars to read.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use spool_db::budgets::{Change, NoBudget, Period, Scope, Standing, Stop};
use spool_job::money::Micros;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::validation::Invalid;

/// An amount of money.
#[derive(Debug, Serialize, ToSchema)]
pub struct Amount {
    /// Millionths of a dollar.
    pub micros: i64,
    pub dollars: f64,
}

impl From<Micros> for Amount {
    fn from(micros: Micros) -> Self {
        Self { micros: micros.0, dollars: micros.dollars() }
    }
}

/// A budget and what its present period has seen.
#[derive(Debug, Serialize, ToSchema)]
pub struct BudgetJson {
    /// `all`, `client`, `campaign` or `job`.
    pub scope: &'static str,
    /// Id of the client, campaign or job; empty for `all`.
    pub scope_id: String,
    /// `day`, `month` or `total`.
    pub period: &'static str,
    /// IANA name of the zone whose days and months count.
    pub zone: String,
    /// Above this an alert is raised.
    pub soft_limit: Option<Amount>,
    /// Above this nothing is bought.
    pub hard_limit: Option<Amount>,
    /// Held for calls whose cost is not known yet.
    pub reserved: Amount,
    pub settled: Amount,
    /// What the hard limit leaves.
    pub left: Option<Amount>,
    /// First day of the period; none for a total.
    pub starts_on: Option<NaiveDate>,
    /// When the next period begins.
    pub turns_at: Option<DateTime<Utc>>,
    /// When this period passed its soft limit, if it has.
    pub soft_passed_at: Option<DateTime<Utc>>,
}

impl From<Standing> for BudgetJson {
    fn from(standing: Standing) -> Self {
        let left = standing.left();
        let Standing { budget, starts_on, turns_at, reserved, settled, soft_passed_at } = standing;
        Self {
            scope: budget.scope.word(),
            scope_id: budget.scope.key(),
            period: budget.period.as_str(),
            zone: budget.zone,
            soft_limit: budget.soft.map(Amount::from),
            hard_limit: budget.hard.map(Amount::from),
            reserved: reserved.into(),
            settled: settled.into(),
            left: left.map(Amount::from),
            starts_on,
            turns_at,
            soft_passed_at,
        }
    }
}

/// Somebody has stopped all spending.
#[derive(Debug, Serialize, ToSchema)]
pub struct StopJson {
    pub why: String,
    /// The id of the key that did it, or the user of a shell.
    pub by: String,
    pub at: DateTime<Utc>,
}

impl From<Stop> for StopJson {
    fn from(stop: Stop) -> Self {
        Self { why: stop.why, by: stop.by, at: stop.at }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct BudgetList {
    pub data: Vec<BudgetJson>,
    pub meta: BudgetMeta,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct BudgetMeta {
    /// How many there are in all.
    pub total: i64,
    pub limit: i64,
    pub offset: i64,
    /// Set while the emergency stop is on.
    pub stop: Option<StopJson>,
}

/// A limit to set. Of a budget that is there already, what is left out stays, and a limit of `null` is taken away.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"scope": "client", "scope_id": "0190f3a1-7c1e-7000-8000-0123456789ab", "period": "month",
    "zone": "Europe/Berlin", "soft_limit_micros": 40_000_000, "hard_limit_micros": 50_000_000}))]
pub struct SetBudget {
    /// `all`, `client`, `campaign` or `job`.
    #[schema(pattern = "^(all|client|campaign|job)$")]
    pub scope: String,
    /// Id of the client, campaign or job; left out for `all`.
    #[serde(default)]
    pub scope_id: String,
    /// `day`, `month` or `total`.
    #[schema(value_type = String, pattern = "^(day|month|total)$")]
    pub period: Period,
    /// IANA name of the zone whose days and months count; of a new budget `UTC` when left out.
    #[serde(default)]
    pub zone: Option<String>,
    /// Above this an alert is raised.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 0)]
    pub soft_limit_micros: Option<Option<i64>>,
    /// Above this nothing is bought.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 0)]
    pub hard_limit_micros: Option<Option<i64>>,
}

/// Tells `null` from a field that is left out.
#[expect(clippy::option_option, reason = "both mean something")]
fn given<'de, D: serde::Deserializer<'de>>(field: D) -> Result<Option<Option<i64>>, D::Error> {
    Option::deserialize(field).map(Some)
}

impl SetBudget {
    /// Whose budget, and what to change of it.
    pub fn check(self) -> Result<(Scope, Period, Change), ApiError> {
        let mut invalid = Invalid::default();
        let scope = Scope::parse(&self.scope, &self.scope_id);
        if scope.is_none() {
            invalid.add("scope_id", "is not the id of what `scope` names (all, client, campaign or job)");
        }
        for (name, limit) in
            [("soft_limit_micros", self.soft_limit_micros), ("hard_limit_micros", self.hard_limit_micros)]
        {
            if limit.flatten().is_some_and(|limit| limit < 0) {
                invalid.add(name, "must not be less than 0");
            }
        }
        invalid.finish()?;
        let limit = |limit: Option<Option<i64>>| limit.map(|limit| limit.map(Micros));
        let (soft, hard) = (limit(self.soft_limit_micros), limit(self.hard_limit_micros));
        Ok((scope.unwrap_or(Scope::All), self.period, Change { zone: self.zone, soft, hard }))
    }
}

/// What is wrong with the limits, at the field that it is about.
pub fn refused(why: NoBudget) -> ApiError {
    let mut invalid = Invalid::default();
    match why {
        NoBudget::NoLimit => {
            invalid.add("hard_limit_micros", "or soft_limit_micros is needed; DELETE removes a budget");
        }
        NoBudget::SoftAboveHard => invalid.add("soft_limit_micros", "must not be above the hard limit"),
    }
    invalid.finish().err().unwrap_or_else(|| ApiError::internal(why))
}

/// Which budget.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WhichBudget {
    /// `all`, `client`, `campaign` or `job`.
    pub scope: String,
    /// Id of the client, campaign or job; left out for `all`.
    #[serde(default)]
    pub scope_id: String,
    /// `day`, `month` or `total`.
    #[param(value_type = String)]
    pub period: Period,
}

/// Why spending is stopped.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"why": "prices look wrong"}))]
pub struct StopSpending {
    /// For whoever finds it stopped; left out, it says that nobody gave a reason.
    #[serde(default)]
    #[schema(nullable = false, min_length = 1, max_length = 500)]
    pub why: Option<String>,
}
