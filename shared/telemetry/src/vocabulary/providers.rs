//! Paid calls, the limits they keep, and what providers hold of ours.

use crate::declared::By::{Database, Worker};
use crate::declared::{Declared, LONG_BUCKETS, WORK_BUCKETS, counter, gauge, of, open, seconds};
use crate::names;
use metrics::Unit;

const PROVIDERS: &[&str] = &["replicate"];
const CLASSES: &[&str] = &["create", "other"];

pub(super) const ALL: &[Declared] = &[
    counter(
        names::PROVIDER_REQUESTS,
        Worker,
        &[
            of("provider", PROVIDERS),
            of(
                "operation",
                &["create", "get", "list", "cancel", "upload", "download", "webhook_secret", "account"],
            ),
            of("outcome", &["ok", "throttled", "unavailable", "not_asked", "wait", "fail", "unknown"]),
        ],
        "Calls to a provider by operation and what came of them.",
    ),
    counter(
        names::PROVIDER_THROTTLED,
        Worker,
        &[of("provider", PROVIDERS), of("class", CLASSES)],
        "Answers 429 by class of call.",
    ),
    counter(
        names::PREDICTIONS,
        Worker,
        &[open("model"), open("outcome")],
        "Paid calls that reached a final state, by model.",
    ),
    counter(
        names::PREDICTION_FAILURES,
        Worker,
        &[open("model"), open("class")],
        "Those of them that failed, by what the provider said: its code where it is a known one, a word, or other.",
    ),
    seconds(
        names::PREDICTION_SECONDS,
        Worker,
        &[open("model")],
        LONG_BUCKETS,
        "Time from our submitting a prediction to our seeing its success.",
    ),
    gauge(
        names::PREDICTIONS_IN_FLIGHT,
        Database,
        &[open("provider"), open("model")],
        "Predictions in flight by model, given turns included.",
    ),
    gauge(
        names::PREDICTIONS_OPEN,
        Database,
        &[of("state", &["intent", "submitted", "unknown", "in_doubt"])],
        "Paid calls that are not settled; those in doubt wait for a person.",
    ),
    gauge(
        names::LIMIT_LINE,
        Database,
        &[open("provider"), open("model")],
        "Tasks without a turn that wait for a provider's limits.",
    ),
    seconds(
        names::LIMIT_WAIT_SECONDS,
        Worker,
        &[open("provider")],
        WORK_BUCKETS,
        "Time a paid call waited in the provider's line; zero where there was none.",
    ),
    counter(
        names::LIMIT_TOKENS,
        Worker,
        &[of("provider", PROVIDERS), of("class", CLASSES)],
        "Turns used by paid calls (create) and tokens used by reads (other).",
    ),
    gauge(
        names::BREAKER_OPEN,
        Database,
        &[open("provider"), open("model"), of("by", &["call", "run", "account", "operator", "nobody"])],
        "1 while the breaker of a provider (model *) or of a model is open or half open, by what opened it: failed calls, failed runs, a refused account or an operator; 0, by nobody, for the provider while it is closed.",
    ),
    counter(
        names::REUSED,
        Worker,
        &[open("model")],
        "Outputs that an earlier purchase had left in the store and that were used again, by model.",
    ),
    gauge(
        names::CUSTODY_TIGHTEST,
        Database,
        &[],
        "Time left until the provider deletes the first of all outputs that are not stored yet; 3600 when there is none.",
    )
    .unit(Unit::Seconds),
    gauge(names::CUSTODY_WAITING, Database, &[], "Outputs that are paid for and not stored yet."),
    gauge(
        names::PAID_BUT_LOST,
        Database,
        &[],
        "Outputs that were paid for and deleted by the provider before they were stored; must stay 0.",
    ),
    gauge(names::PAID_BUT_LOST_MICROS, Database, &[], "Micro-dollars that the lost outputs had cost."),
    gauge(
        names::ORPHANS,
        Database,
        &[of("done", &["adopted", "canceled"])],
        "Predictions at a provider that bore our mark and that no row knew, by what was done with them.",
    ),
    gauge(
        names::ORPHANS_MICROS,
        Database,
        &[],
        "Micro-dollars that canceled orphans cost all the same, beside the ledger.",
    ),
];
