//! EVERY metric that our programs emit: name, kind, unit, meaning, labels and the series that exist from the start.
//!
//! Labels take their values from closed sets only: never an id, a customer or an address. A series that a counter
//! can have stands at zero from the start where the set is known here, because `increase()` cannot see a counter
//! that appears at 1. Only the queue's own `spool_queue_*` are declared elsewhere, in its crate.

use Kind::{Counter, Gauge, Histogram};
use metrics::Unit;

/// Requests answered, by route template.
pub const HTTP_REQUESTS: &str = "spool_http_requests_total";
/// Time to answer a request.
pub const HTTP_REQUEST_SECONDS: &str = "spool_http_request_seconds";
/// Calls made to a provider.
pub const PROVIDER_REQUESTS: &str = "spool_provider_requests_total";
/// Predictions that reached a final state.
pub const PREDICTIONS: &str = "spool_predictions_total";
/// Money written to the ledger.
pub const MONEY_MICROS: &str = "spool_money_micros_total";
/// Purchases that cost more than a fifth more or less than their list price.
pub const COST_VARIANCE: &str = "spool_cost_variance_total";
/// What the budgets leave.
pub const BUDGET_HEADROOM: &str = "spool_budget_headroom_micros";
/// Budgets whose present period has passed its soft limit.
pub const BUDGET_SOFT_PASSED: &str = "spool_budget_soft_passed";
/// What the money of the last day was good for.
pub const SPEND_CLASS: &str = "spool_spend_class_micros";
/// Time an FFmpeg run took.
pub const FFMPEG_SECONDS: &str = "spool_ffmpeg_seconds";
/// Media bytes that passed through this process.
pub const MEDIA_BYTES: &str = "spool_media_bytes_total";
/// Steps of jobs that ended.
pub const STEPS: &str = "spool_step_total";
/// Time one execution of a step took.
pub const STEP_SECONDS: &str = "spool_step_seconds";
/// Constant 1 whose labels say which build runs.
pub const BUILD_INFO: &str = "spool_build_info";

/// What a metric is to Prometheus.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of observations per bucket; the upper bounds are in the metric's unit.
    Histogram(&'static [f64]),
}

/// One label and the values it can take; empty where only the program knows them.
#[derive(Debug, Clone, Copy)]
pub struct Label {
    /// Name of the label.
    pub name: &'static str,
    /// Its closed set of values, if it is known here.
    pub values: &'static [&'static str],
}

/// One metric as it is declared.
#[derive(Debug, Clone, Copy)]
pub struct Declared {
    /// Name as Prometheus sees it.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// What it counts in.
    pub unit: Unit,
    /// One line for the reader of a dashboard.
    pub meaning: &'static str,
    /// Its labels, in the order they are written.
    pub labels: &'static [Label],
}

/// Upper bounds for answers of an API.
const REQUEST_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Upper bounds for work that renders, downloads or encodes.
pub const WORK_BUCKETS: &[f64] =
    &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];
/// Upper bounds for any other `_seconds` histogram, the queue's among them: from one claim to a long wait.
pub const DEFAULT_SECONDS_BUCKETS: &[f64] =
    &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];

/// A label whose values only the program knows.
const fn open(name: &'static str) -> Label {
    Label { name, values: &[] }
}

/// Every metric of ours. `install` describes them all and sets the known series to zero.
pub const ALL: &[Declared] = &[
    Declared {
        name: HTTP_REQUESTS,
        kind: Counter,
        unit: Unit::Count,
        meaning: "Requests answered, by route template, method and status.",
        labels: &[open("route"), open("method"), open("status")],
    },
    Declared {
        name: HTTP_REQUEST_SECONDS,
        kind: Histogram(REQUEST_BUCKETS),
        unit: Unit::Seconds,
        meaning: "Time from the first byte of a request to the head of its answer.",
        labels: &[open("route"), open("method")],
    },
    Declared {
        name: PROVIDER_REQUESTS,
        kind: Counter,
        unit: Unit::Count,
        meaning: "Calls to a provider by operation and what came of them.",
        labels: &[
            Label { name: "provider", values: &["replicate"] },
            Label {
                name: "operation",
                values: &[
                    "create",
                    "get",
                    "list",
                    "cancel",
                    "upload",
                    "download",
                    "webhook_secret",
                    "account",
                ],
            },
            Label { name: "outcome", values: &["ok", "throttled", "wait", "fail", "unknown"] },
        ],
    },
    Declared {
        name: PREDICTIONS,
        kind: Counter,
        unit: Unit::Count,
        meaning: "Paid calls that reached a final state, by model.",
        labels: &[open("model"), open("outcome")],
    },
    Declared {
        name: MONEY_MICROS,
        kind: Counter,
        unit: Unit::Count,
        meaning: "Micro-dollars written to the ledger: reserved before a call, settled or released after it.",
        labels: &[Label { name: "kind", values: &["reserved", "settled", "released"] }],
    },
    Declared {
        name: COST_VARIANCE,
        kind: Counter,
        unit: Unit::Count,
        meaning: "Purchases that cost over a fifth more (over) or less (under) than their list price, by model.",
        labels: &[open("model"), Label { name: "direction", values: &["over", "under"] }],
    },
    Declared {
        name: BUDGET_HEADROOM,
        kind: Gauge,
        unit: Unit::Count,
        meaning: "Micro-dollars that the tightest budget of a scope and period leaves up to its soft or hard limit; below zero when passed.",
        labels: &[
            Label { name: "scope", values: &["all", "client", "campaign", "job"] },
            Label { name: "period", values: &["day", "month", "total"] },
            Label { name: "limit", values: &["soft", "hard"] },
        ],
    },
    Declared {
        name: BUDGET_SOFT_PASSED,
        kind: Gauge,
        unit: Unit::Count,
        meaning: "Budgets whose present period has passed its soft limit, by scope and period.",
        labels: &[
            Label { name: "scope", values: &["all", "client", "campaign", "job"] },
            Label { name: "period", values: &["day", "month", "total"] },
        ],
    },
    Declared {
        name: SPEND_CLASS,
        kind: Gauge,
        unit: Unit::Count,
        meaning: "Micro-dollars settled in the last 24 hours by what they were good for; all but useful is waste.",
        labels: &[Label {
            name: "class",
            values: &["useful", "duplicate", "orphaned", "late_cancelled", "failed"],
        }],
    },
    Declared {
        name: FFMPEG_SECONDS,
        kind: Histogram(WORK_BUCKETS),
        unit: Unit::Seconds,
        meaning: "Wall time of one FFmpeg or ffprobe run.",
        labels: &[open("operation")],
    },
    Declared {
        name: MEDIA_BYTES,
        kind: Counter,
        unit: Unit::Bytes,
        meaning: "Media bytes streamed by this process: into the store, or out of it.",
        labels: &[Label { name: "direction", values: &["in", "out"] }],
    },
    Declared {
        name: STEPS,
        kind: Counter,
        unit: Unit::Count,
        meaning: "Executions of a step by kind of task and outcome.",
        labels: &[
            Label {
                name: "kind",
                values: &["render", "music", "collect", "stitch", "mix", "verify", "close"],
            },
            Label { name: "outcome", values: &["committed", "done", "retry", "park", "cancel", "fail"] },
        ],
    },
    Declared {
        name: STEP_SECONDS,
        kind: Histogram(WORK_BUCKETS),
        unit: Unit::Seconds,
        meaning: "Wall time of one execution of a step.",
        labels: &[open("kind")],
    },
    Declared {
        name: BUILD_INFO,
        kind: Gauge,
        unit: Unit::Count,
        meaning: "Always 1; its labels say which version and revision runs.",
        labels: &[open("version"), open("revision")],
    },
];
