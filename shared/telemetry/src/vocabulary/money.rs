//! What was held, what was spent, and what may be.

use crate::declared::By::{Database, Worker};
use crate::declared::{Declared, counter, gauge, of, open};
use crate::names;
use metrics::Unit;

const SCOPES: &[&str] = &["all", "client", "campaign", "job"];
const PERIODS: &[&str] = &["day", "month", "total"];
const LIMITS: &[&str] = &["soft", "hard"];

pub(super) const ALL: &[Declared] = &[
    counter(
        names::MONEY_MICROS,
        Worker,
        &[of("kind", &["reserved", "settled", "released"])],
        "Micro-dollars written to the ledger: reserved before a call, settled or released after it.",
    ),
    counter(names::PURCHASE_COST, Worker, &[open("model")], "Micro-dollars that successful purchases cost."),
    counter(
        names::PURCHASE_LIST,
        Worker,
        &[open("model")],
        "Micro-dollars that the same purchases should have cost by the price list.",
    ),
    counter(
        names::PURCHASE_HELD,
        Worker,
        &[open("model")],
        "Micro-dollars that were held for the same purchases.",
    ),
    counter(
        names::COST_VARIANCE,
        Worker,
        &[open("model"), of("direction", &["over", "under"])],
        "Purchases that cost over a fifth more (over) or less (under) than their list price, by model.",
    ),
    gauge(
        names::BUDGET_HEADROOM,
        Database,
        &[of("scope", SCOPES), of("period", PERIODS), of("limit", LIMITS)],
        "Micro-dollars that the tightest budget of a scope and period leaves up to its soft or hard limit; below zero when passed. Missing where there is no such budget.",
    ),
    gauge(
        names::BUDGET_SOFT_PASSED,
        Database,
        &[of("scope", SCOPES), of("period", PERIODS)],
        "Budgets whose present period has passed its soft limit, by scope and period.",
    ),
    gauge(
        names::BUDGET_USED,
        Database,
        &[of("period", PERIODS), of("part", &["reserved", "settled"])],
        "Micro-dollars that the present period of the budget for everything has seen.",
    ),
    gauge(
        names::BUDGET_LIMIT,
        Database,
        &[of("period", PERIODS), of("limit", LIMITS)],
        "Micro-dollars that the budget for everything allows. Missing where there is no limit.",
    ),
    gauge(
        names::BUDGET_PERIOD_LEFT,
        Database,
        &[of("period", PERIODS)],
        "Time until the present period of the budget for everything ends, in its own zone.",
    )
    .unit(Unit::Seconds),
    gauge(
        names::SPEND_CLASS,
        Database,
        &[of("class", &["useful", "duplicate", "orphaned", "late_cancelled", "failed"])],
        "Micro-dollars settled in this hour and the 23 before by what they were good for; all but useful is waste. Hours before the last one are looked at again in turns, each every 22 minutes.",
    ),
    gauge(names::SPEND_STOPPED, Database, &[], "1 while an operator has stopped all spending."),
    gauge(names::SPEND_WAITS, Database, &[], "Purchases that wait for money."),
];
