//! Money: what is spent, what may be, and what it was good for.

use crate::panel::{Bad, Dashboard, Row, Variable, bars, lines, stacked, stat, states, unit};

pub(super) fn board() -> Dashboard {
    Dashboard {
        uid: "spool-money",
        title: "Spool: money",
        meaning: "What is spent, what may be, what it was good for, and whether the price list is right.",
        variables: vec![Variable::Label { name: "model", metric: "spool_purchase_cost_micros_total" }],
        rows: vec![today(), rate(), good_for(), right()],
    }
}

fn today() -> Row {
    Row {
        title: "What may be spent",
        panels: vec![
            stat("Spent today", unit::DOLLARS, "Settled in the present day of the budget for everything.")
                .of("max(spool_budget_used_micros{period=\"day\",part=\"settled\"}) / 1e6", ""),
            stat("Held now", unit::DOLLARS, "For purchases under way.")
                .of("max(spool_budget_used_micros{period=\"day\",part=\"reserved\"}) / 1e6", ""),
            stat("Left up to the hard limit", unit::DOLLARS, "Nothing is bought beyond it.")
                .of("min(spool_budget_headroom_micros{scope=\"all\",period=\"day\",limit=\"hard\"}) / 1e6", "")
                .bad(Bad::Below(0.0))
                .runbook("budget-hard-reached"),
            stat("At the end of the day", unit::DOLLARS, "Spent and held now, and what the last hour's rate adds until the day ends.")
                .of("sum(max by (part) (spool_budget_used_micros{period=\"day\"})) / 1e6 + spool:spent_micros:rate1h * max(spool_budget_period_left_seconds{period=\"day\"}) / 1e6", "")
                .runbook("spend-rate"),
            stat("Purchases that wait for money", unit::COUNT, "They go on when a limit is raised or its period turns.")
                .of("max(spool_spend_waits)", "")
                .bad(Bad::Above(0.0))
                .runbook("budget-hard-reached"),
            stat("Budgets past their soft limit", unit::COUNT, "In their present period.")
                .of("sum(max by (scope, period) (spool_budget_soft_passed))", "")
                .bad(Bad::Above(0.0))
                .runbook("budget-soft-passed"),
            lines("Day of the budget for everything", unit::DOLLARS, "Spent and held, against both limits.")
                .of("sum(max by (part) (spool_budget_used_micros{period=\"day\"})) / 1e6", "spent and held")
                .of("max by (part) (spool_budget_used_micros{period=\"day\"}) / 1e6", "{{part}}")
                .of("max by (limit) (spool_budget_limit_micros{period=\"day\"}) / 1e6", "{{limit}} limit")
                .runbook("budget-hard-reached")
                .wide(12),
            bars("What the tightest budget leaves", unit::DOLLARS, "By scope and period, up to the hard limit. Below 0: something was billed that had not been held.")
                .of("min by (scope, period) (spool_budget_headroom_micros{limit=\"hard\"}) / 1e6", "{{scope}} {{period}}")
                .bad(Bad::Below(0.0))
                .runbook("budget-overrun")
                .wide(8),
            states("All spending stopped", "1 while somebody has stopped it.")
                .of("max(spool_spend_stopped)", "stopped")
                .runbook("spend-stopped")
                .wide(4),
        ],
    }
}

fn rate() -> Row {
    Row {
        title: "How fast",
        panels: vec![
            stacked("Spent an hour, by model", unit::DOLLARS, "At the present rate.")
                .of("sum by (model) (rate(spool_purchase_cost_micros_total{model=~\"$model\"}[$__rate_interval])) * 3600 / 1e6", "{{model}}")
                .runbook("spend-rate"),
            lines("Written to the ledger", unit::DOLLARS, "An hour: reserved before a call, settled or released after it. In the long run reserved is the sum of what settled had held and of what was released.")
                .of("sum by (kind) (rate(spool_money_micros_total[$__rate_interval])) * 3600 / 1e6", "{{kind}}"),
            lines("Price of a video", unit::DOLLARS, "What is settled for each job that is completed, over an hour.")
                .of("sum(increase(spool_money_micros_total{kind=\"settled\"}[1h])) / 1e6 / clamp_min(sum(increase(spool_jobs_ended_total{outcome=\"completed\"}[1h])), 1)", "dollars a video"),
        ],
    }
}

fn good_for() -> Row {
    Row {
        title: "What it was good for",
        panels: vec![
            bars("This hour and the 23 before by class", unit::DOLLARS, "All but useful is waste. duplicate must be 0: the same clip or stretch of music was paid for twice.")
                .of("max by (class) (spool_spend_class_micros) / 1e6", "{{class}}")
                .runbook("duplicate-spend"),
            lines("Share that is wasted", unit::SHARE, "Of what was settled in this hour and the 23 before.")
                .of("sum(max by (class) (spool_spend_class_micros{class!=\"useful\"})) / clamp_min(sum(max by (class) (spool_spend_class_micros)), 1)", "wasted"),
            lines("Lost, and beside the ledger", unit::DOLLARS, "What lost outputs had cost, and what predictions without a row cost. Both should never grow.")
                .of("max(spool_paid_but_lost_micros) / 1e6", "paid and lost")
                .of("max(spool_orphans_micros) / 1e6", "without a row")
                .runbook("paid-but-lost"),
        ],
    }
}

fn right() -> Row {
    Row {
        title: "Is the price list right?",
        panels: vec![
            lines("Cost against the price list", unit::SHARE, "Of a day's successful purchases, by model: 0 is exact, 20 % either way writes a ticket.")
                .of("spool:cost_over_list:ratio_increase1d{model=~\"$model\"}", "{{model}}")
                .bad(Bad::Above(0.2))
                .runbook("cost-variance"),
            lines("Held for each dollar that it cost", unit::TIMES, "What is held too much is given back; what is held too little can pass a limit.")
                .of("sum by (model) (increase(spool_purchase_held_micros_total{model=~\"$model\"}[1d])) / sum by (model) (increase(spool_purchase_cost_micros_total{model=~\"$model\"}[1d]))", "{{model}}")
                .runbook("budget-overrun"),
            stacked("Purchases a fifth off", unit::COUNT, "In an hour: dearer (over) or cheaper (under) than their list price.")
                .of("sum by (model, direction) (increase(spool_cost_variance_total{model=~\"$model\"}[1h]))", "{{model}} {{direction}}")
                .runbook("cost-variance"),
        ],
    }
}
