//! Gauges of money that are read from the database: what the budgets leave, and what the money of the last day was good for. Every
//! API process shows the same; an alert takes the least or the greatest of them.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::gauge;
use spool_db::budgets::{self, Standing};
use spool_db::waste;
use spool_telemetry::names;
use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;

use crate::database::Database;
use crate::error::ApiError;

const PERIOD: Duration = Duration::from_secs(15);
const SCOPES: [&str; 4] = ["all", "client", "campaign", "job"];
const PERIODS: [&str; 3] = ["day", "month", "total"];

/// Keeps them current until `stop`.
pub async fn keep(db: Database, stop: CancellationToken) {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let looked = async { look(&mut *db.read().await?).await };
        if let Some(Err(error)) = stop.run_until_cancelled(looked).await {
            tracing::warn!(detail = error.detail(), "the gauges of money are old");
        }
    }
}

/// Reads and sets all of them.
pub async fn look(conn: &mut PgConnection) -> Result<(), ApiError> {
    let headroom = Headroom::of(&budgets::list(conn).await?);
    for (scope, period) in SCOPES.iter().flat_map(|scope| PERIODS.iter().map(move |period| (*scope, *period)))
    {
        for limit in ["soft", "hard"] {
            // No number where there is no such budget (any more): no alert compares with it.
            let left = headroom.least.get(&(scope, period, limit)).map_or(f64::NAN, |micros| *micros as f64);
            gauge!(names::BUDGET_HEADROOM, "scope" => scope, "period" => period, "limit" => limit).set(left);
        }
        let passed = headroom.passed.get(&(scope, period)).copied().unwrap_or_default();
        gauge!(names::BUDGET_SOFT_PASSED, "scope" => scope, "period" => period).set(f64::from(passed));
    }
    for class in waste::of_last_day(conn).await? {
        gauge!(names::SPEND_CLASS, "class" => class.class)
            .set((class.settled.0 + class.beside_ledger.0) as f64);
    }
    Ok(())
}

/// Labels are words for scope and period, never whose budget it is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Headroom {
    /// What the tightest budget leaves, by scope, period and limit.
    least: BTreeMap<(&'static str, &'static str, &'static str), i64>,
    /// How many have passed their soft limit, by scope and period.
    passed: BTreeMap<(&'static str, &'static str), u32>,
}

impl Headroom {
    fn of(standings: &[Standing]) -> Self {
        let mut headroom = Self::default();
        for standing in standings {
            let budget = &standing.budget;
            let (scope, period) = (budget.scope.word(), budget.period.as_str());
            for (word, limit) in [("soft", budget.soft), ("hard", budget.hard)] {
                let Some(limit) = limit else { continue };
                let left = limit.0 - standing.reserved.0 - standing.settled.0;
                let least = headroom.least.entry((scope, period, word)).or_insert(left);
                *least = left.min(*least);
            }
            *headroom.passed.entry((scope, period)).or_default() +=
                u32::from(standing.soft_passed_at.is_some());
        }
        headroom
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spool_db::budgets::{Budget, Period, Scope};
    use spool_job::money::Micros;
    use uuid::Uuid;

    fn standing(scope: Scope, soft: Option<i64>, spent: i64) -> Standing {
        Standing {
            budget: Budget {
                scope,
                period: Period::Day,
                zone: "UTC".into(),
                soft: soft.map(Micros),
                hard: Some(Micros(100)),
            },
            starts_on: None,
            turns_at: None,
            reserved: Micros(1),
            settled: Micros(spent - 1),
            soft_passed_at: soft.filter(|soft| spent > *soft).map(|_| chrono::DateTime::UNIX_EPOCH),
        }
    }

    #[test]
    fn the_tightest_budget_of_a_scope_speaks_for_all() {
        let client = || Scope::Client(Uuid::now_v7());
        let headroom = Headroom::of(&[
            standing(Scope::All, Some(50), 60),
            standing(client(), Some(80), 30),
            standing(client(), None, 95),
            standing(client(), Some(10), 11),
        ]);
        assert_eq!(headroom.least[&("all", "day", "soft")], -10);
        assert_eq!(headroom.least[&("all", "day", "hard")], 40);
        assert_eq!(headroom.least[&("client", "day", "hard")], 5);
        assert_eq!(headroom.least[&("client", "day", "soft")], -1);
        assert_eq!(headroom.passed[&("all", "day")], 1);
        assert_eq!(headroom.passed[&("client", "day")], 1);
    }
}
