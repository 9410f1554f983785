//! Providers: what is bought, what fails, which limits hold it up, and what they hold of ours.

use crate::panel::{Bad, Dashboard, Row, Variable, lines, stacked, stat, states, unit};

pub(super) fn board() -> Dashboard {
    Dashboard {
        uid: "spool-providers",
        title: "Spool: providers and limits",
        meaning: "What is bought and how it ends, what limits and breakers hold up, and what providers hold of ours.",
        variables: vec![Variable::Label { name: "model", metric: "spool_predictions_total" }],
        rows: vec![predictions(), limits(), custody()],
    }
}

fn predictions() -> Row {
    Row {
        title: "Predictions",
        panels: vec![
            stacked("Predictions by how they end", unit::PER_MINUTE, "A failed one is bought again, at most twice for video.")
                .of("sum by (outcome) (rate(spool_predictions_total{model=~\"$model\"}[$__rate_interval])) * 60", "{{outcome}}")
                .runbook("provider-fails"),
            stacked("Failures by class", unit::COUNT, "In five minutes, by model and what the provider said. moderation is the input's fault, E6716 the provider's load.")
                .of("sum by (model, class) (increase(spool_prediction_failures_total{model=~\"$model\"}[5m]))", "{{model}} {{class}}")
                .of("vector(0)", "none")
                .runbook("provider-fails"),
            lines("Share that fails", unit::SHARE, "For reasons of the provider. 3 % may.")
                .of("spool:predictions_failed:ratio_rate30m", "30 minutes")
                .of("spool:predictions_failed:ratio_rate6h", "6 hours")
                .bad(Bad::Above(0.03))
                .runbook("provider-fails"),
            lines("Time of a prediction", unit::SECONDS, "From our submitting it to our seeing its success: half and 95 of 100.")
                .quantiles("spool_prediction_seconds", "{model=~\"$model\"}", "model", ["{{model}}: half", "{{model}}: 95", ""]),
            stacked("Under way", unit::COUNT, "Predictions in flight by model, given turns included.")
                .of("max by (provider, model) (spool_predictions_in_flight{model=~\"$model\"})", "{{model}}")
                .of("vector(0)", "none"),
            stacked("Not settled", unit::COUNT, "Paid calls by where they stand. unknown is being looked for; in_doubt waits for a person.")
                .of("max by (state) (spool_predictions_open)", "{{state}}")
                .runbook("predictions-in-doubt"),
        ],
    }
}

fn limits() -> Row {
    Row {
        title: "Limits and breakers",
        panels: vec![
            states("Breakers", "1 while a provider (*) or a model is left alone: `spool breaker list` says by whom and why.")
                .of("max by (provider, model) (spool_breaker_open)", "{{provider}} {{model}}")
                .runbook("breaker-open"),
            stacked("In the line", unit::COUNT, "Tasks without a turn that wait for the provider's limits. They hold no worker.")
                .of("max by (provider, model) (spool_limit_line{model=~\"$model\"})", "{{model}}")
                .of("vector(0)", "none"),
            lines("Wait in the line", unit::SECONDS, "Of paid calls that got their turn: half and 95 of 100. 0 where there was no line.")
                .quantiles("spool_limit_wait_seconds", "", "provider", ["{{provider}}: half", "{{provider}}: 95", ""]),
            stacked("Turns and tokens", unit::PER_MINUTE, "Paid calls (create) and reads (other), against the account's rates: `spool limits list`.")
                .of("sum by (class) (rate(spool_limit_tokens_total[$__rate_interval])) * 60", "{{class}}"),
            stacked("Calls by what came of them", unit::PER_MINUTE, "throttled is a 429, unavailable one that cannot answer, not_asked a read too many, wait an account that is refused, unknown a create whose answer was lost.")
                .of("sum by (operation, outcome) (rate(spool_provider_requests_total{outcome!=\"ok\"}[$__rate_interval])) * 60", "{{operation}}: {{outcome}}")
                .of("sum(rate(spool_provider_requests_total{outcome=\"ok\"}[$__rate_interval])) * 60", "ok")
                .runbook("breaker-open"),
            stacked("Throttled", unit::COUNT, "Answers 429 in five minutes. Now and then one is normal.")
                .of("sum by (class) (increase(spool_provider_throttled_total[5m]))", "{{class}}"),
        ],
    }
}

fn custody() -> Row {
    Row {
        title: "What they hold of ours",
        panels: vec![
            lines("Time left to fetch", unit::SECONDS, "Until the provider deletes the first output that is not stored here. An hour is all, below 15 minutes pages.")
                .of("min(spool_custody_tightest_seconds)", "left")
                .bad(Bad::Below(900.0))
                .runbook("custody-tight"),
            lines("Outputs to fetch", unit::COUNT, "Paid for and not stored yet. A handful is normal.")
                .of("max(spool_custody_waiting)", "waiting")
                .runbook("custody-tight"),
            stat("Paid and lost", unit::COUNT, "Outputs that were deleted before they were stored. Must stay 0.")
                .of("max(spool_paid_but_lost)", "")
                .bad(Bad::Above(0.0))
                .runbook("paid-but-lost"),
            stat("Predictions without a row", unit::COUNT, "At the provider, with our mark, adopted or called off.")
                .of("sum(max by (done) (spool_orphans))", ""),
            stacked("Outputs used again", unit::PER_MINUTE, "Instead of being bought: an equal order had left them in the store.")
                .of("sum by (model) (rate(spool_reused_total{model=~\"$model\"}[$__rate_interval])) * 60", "{{model}}")
                .of("vector(0)", "none"),
        ],
    }
}
