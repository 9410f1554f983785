//! A change of a budget: what is not given stays as it is, but a soft limit comes down with the hard one.

use crate::budgets::{Budget, Period, Scope};
use spool_job::money::Micros;

/// What to change; a limit of `Some(None)` is taken away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// IANA name of the time zone whose days and months count.
    pub zone: Option<String>,
    pub soft: Option<Option<Micros>>,
    pub hard: Option<Option<Micros>>,
}

/// Why a change makes no budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoBudget {
    #[error("a budget needs a hard or a soft limit")]
    NoLimit,
    #[error("the soft limit must not be above the hard limit")]
    SoftAboveHard,
}

impl Change {
    /// The budget after it; without one `before`, a new one in UTC.
    pub fn of(self, scope: Scope, period: Period, before: Option<Budget>) -> Result<Budget, NoBudget> {
        let soft_given = self.soft.is_some();
        let before =
            before.unwrap_or(Budget { scope, period, zone: "UTC".to_owned(), soft: None, hard: None });
        let after = Budget {
            zone: self.zone.unwrap_or(before.zone),
            soft: self.soft.unwrap_or(before.soft),
            hard: self.hard.unwrap_or(before.hard),
            ..before
        };
        match (after.soft, after.hard) {
            (None, None) => Err(NoBudget::NoLimit),
            (Some(soft), Some(hard)) if soft > hard && soft_given => Err(NoBudget::SoftAboveHard),
            (Some(soft), Some(hard)) => Ok(Budget { soft: Some(soft.min(hard)), ..after }),
            _ => Ok(after),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(zone: &str, soft: Option<i64>, hard: Option<i64>) -> Budget {
        let (soft, hard) = (soft.map(Micros), hard.map(Micros));
        Budget { scope: Scope::All, period: Period::Day, zone: zone.into(), soft, hard }
    }

    #[test]
    fn what_is_not_given_stays() {
        let before = || Some(budget("Europe/Berlin", Some(100), Some(150)));
        let change = |zone: Option<&str>, soft: Option<Option<i64>>, hard: Option<Option<i64>>| Change {
            zone: zone.map(str::to_owned),
            soft: soft.map(|soft| soft.map(Micros)),
            hard: hard.map(|hard| hard.map(Micros)),
        };
        for (before, change, after) in [
            (
                before(),
                change(None, None, Some(Some(200))),
                Ok(budget("Europe/Berlin", Some(100), Some(200))),
            ),
            (before(), change(None, Some(None), None), Ok(budget("Europe/Berlin", None, Some(150)))),
            (before(), change(None, None, Some(None)), Ok(budget("Europe/Berlin", Some(100), None))),
            (before(), change(Some("UTC"), None, None), Ok(budget("UTC", Some(100), Some(150)))),
            (before(), change(None, Some(None), Some(None)), Err(NoBudget::NoLimit)),
            (before(), change(None, None, Some(Some(99))), Ok(budget("Europe/Berlin", Some(99), Some(99)))),
            (before(), change(None, Some(Some(151)), None), Err(NoBudget::SoftAboveHard)),
            (None, change(None, None, Some(Some(1))), Ok(budget("UTC", None, Some(1)))),
            (None, change(Some("UTC"), None, None), Err(NoBudget::NoLimit)),
        ] {
            assert_eq!(change.clone().of(Scope::All, Period::Day, before), after, "{change:?}");
        }
    }
}
