//! Webhooks to callers.

use crate::declared::By::{Database, Worker};
use crate::declared::{Declared, WORK_BUCKETS, counter, gauge, of, seconds};
use crate::names;
use metrics::Unit;

pub(super) const ALL: &[Declared] = &[
    counter(
        names::WEBHOOK_DELIVERIES,
        Worker,
        &[of("outcome", &["delivered", "retried", "failed", "gone"])],
        "Tries to send a webhook: taken (delivered), to be tried again (retried), given up (failed), or the endpoint is gone (gone).",
    ),
    seconds(
        names::WEBHOOK_SEND_SECONDS,
        Worker,
        &[],
        WORK_BUCKETS,
        "Time from the look-up of an endpoint's name to its answer, or to the end of the waiting.",
    ),
    gauge(names::WEBHOOK_PENDING, Database, &[], "Webhooks that are neither delivered nor given up."),
    gauge(
        names::WEBHOOK_OLDEST,
        Database,
        &[],
        "Time since the oldest of them happened; 0 when there is none.",
    )
    .unit(Unit::Seconds),
    gauge(
        names::WEBHOOK_ENDPOINTS,
        Database,
        &[of("state", &["working", "failing", "disabled"])],
        "Endpoints: working, failing since their last success, or disabled.",
    ),
];
