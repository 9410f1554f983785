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
/// Answers that are being held open.
pub const HTTP_STREAMS: &str = "spool_http_streams";
/// Status polls, by where their answer came from.
pub const STATUS_CACHE: &str = "spool_status_cache_total";
/// Requests with an idempotency key.
pub const IDEMPOTENCY: &str = "spool_idempotency_total";
/// Calls made to a provider.
pub const PROVIDER_REQUESTS: &str = "spool_provider_requests_total";
/// Predictions that reached a final state.
pub const PREDICTIONS: &str = "spool_predictions_total";
/// Predictions that providers have of us, and turns that are given.
pub const PREDICTIONS_IN_FLIGHT: &str = "spool_predictions_in_flight";
/// Tasks that wait for a provider's limits.
pub const LIMIT_LINE: &str = "spool_limit_line";
/// Time from coming to the line to the turn.
pub const LIMIT_WAIT_SECONDS: &str = "spool_limit_wait_seconds";
/// Turns and tokens used.
pub const LIMIT_TOKENS: &str = "spool_limit_tokens_total";
/// Calls that a provider refused for coming too fast.
pub const PROVIDER_THROTTLED: &str = "spool_provider_throttled_total";
/// Whether a breaker is open.
pub const BREAKER_OPEN: &str = "spool_breaker_open";
/// Outputs that were used again instead of bought.
pub const REUSED: &str = "spool_reused_total";
/// Time left to fetch the output that will be deleted first.
pub const CUSTODY_TIGHTEST: &str = "spool_custody_tightest_seconds";
/// Outputs that are paid for and not stored yet.
pub const CUSTODY_WAITING: &str = "spool_custody_waiting";
/// Outputs that were paid for and are lost.
pub const PAID_BUT_LOST: &str = "spool_paid_but_lost";
/// What those had cost.
pub const PAID_BUT_LOST_MICROS: &str = "spool_paid_but_lost_micros";
/// Predictions at a provider that no row knew.
pub const ORPHANS: &str = "spool_orphans";
/// What they cost beside the ledger.
pub const ORPHANS_MICROS: &str = "spool_orphans_micros";
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
        name: HTTP_STREAMS,
        kind: Gauge,
        unit: Unit::Count,
        meaning: "Answers held open by this process: event streams (events) and long polls (wait).",
        labels: &[Label { name: "kind", values: &["events", "wait"] }],
    },
    Declared {
        name: STATUS_CACHE,
        kind: Counter,
        unit: Unit::Count,
        meaning: "Polls of one job by where the answer came from: kept (hit), being read for another poll (joined), one narrow row (revalidated), all rows (miss).",
        labels: &[Label { name: "result", values: &["hit", "joined", "revalidated", "miss"] }],
    },
    Declared {
        name: IDEMPOTENCY,
        kind: Counter,
        unit: Unit::Count,
        meaning: "Requests with an idempotency key that changed something (new), came again (replayed), met themselves (conflict) or asked something else (mismatch).",
        labels: &[Label { name: "result", values: &["new", "replayed", "conflict", "mismatch"] }],
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
        name: PREDICTIONS_IN_FLIGHT,
        kind: Gauge,
        unit: Unit::Count,
        meaning: "Predictions in flight by model, given turns included; a fact of the database, so all workers show the same.",
        labels: &[open("provider"), open("model")],
    },
    Declared {
        name: LIMIT_LINE,
        kind: Gauge,
        unit: Unit::Count,
        meaning: "Tasks without a turn that wait for a provider's limits; a fact of the database.",
        labels: &[open("provider"), open("model")],
    },
    Declared {
        name: LIMIT_WAIT_SECONDS,
        kind: Histogram(WORK_BUCKETS),
        unit: Unit::Seconds,
        meaning: "Time a paid call waited in the provider's line; zero where there was none.",
        labels: &[open("provider")],
    },
    Declared {
        name: LIMIT_TOKENS,
        kind: Counter,
        unit: Unit::Count,
        meaning: "Turns used by paid calls (create) and tokens used by reads (other), by this process.",
        labels: &[
            Label { name: "provider", values: &["replicate"] },
            Label { name: "class", values: &["create", "other"] },
        ],
    },
    Declared {
        name: PROVIDER_THROTTLED,
        kind: Counter,
        unit: Unit::Count,
        meaning: "Answers 429 by class of call.",
        labels: &[
            Label { name: "provider", values: &["replicate"] },
            Label { name: "class", values: &["create", "other"] },
        ],
    },
    Declared {
        name: BREAKER_OPEN,
        kind: Gauge,
        unit: Unit::Count,
        meaning: "1 while the breaker of a provider (model *) or of a model is open or half open; a fact of the database.",
        labels: &[open("provider"), open("model")],
    },
    Declared {
        name: REUSED,
        kind: Counter,
        unit: Unit::Count,
        meaning: "Outputs that an earlier purchase had left in the store and that were used again, by model.",
        labels: &[open("model")],
    },
    Declared {
        name: CUSTODY_TIGHTEST,
        kind: Gauge,
        unit: Unit::Seconds,
        meaning: "Time left until the provider deletes the first of all outputs that are not stored yet; 3600 when there is none. From the database.",
        labels: &[],
    },
    Declared {
        name: CUSTODY_WAITING,
        kind: Gauge,
        unit: Unit::Count,
        meaning: "Outputs that are paid for and not stored yet. From the database.",
        labels: &[],
    },
    Declared {
        name: PAID_BUT_LOST,
        kind: Gauge,
        unit: Unit::Count,
        meaning: "Outputs that were paid for and deleted by the provider before they were stored; must stay 0. From the database.",
        labels: &[],
    },
    Declared {
        name: PAID_BUT_LOST_MICROS,
        kind: Gauge,
        unit: Unit::Count,
        meaning: "Micro-dollars that the lost outputs had cost. From the database.",
        labels: &[],
    },
    Declared {
        name: ORPHANS,
        kind: Gauge,
        unit: Unit::Count,
        meaning: "Predictions at a provider that bore our mark and that no row knew, by what was done with them. From the database.",
        labels: &[Label { name: "done", values: &["adopted", "canceled"] }],
    },
    Declared {
        name: ORPHANS_MICROS,
        kind: Gauge,
        unit: Unit::Count,
        meaning: "Micro-dollars that canceled orphans cost all the same, beside the ledger. From the database.",
        labels: &[],
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
                values: &[
                    "render", "music", "collect", "recall", "orphans", "stitch", "mix", "verify", "close",
                ],
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
