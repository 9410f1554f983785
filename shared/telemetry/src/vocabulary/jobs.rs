//! Jobs from approval to their end, and the steps they are made of.

use crate::declared::By::{Database, Worker};
use crate::declared::{Declared, LONG_BUCKETS, WORK_BUCKETS, counter, gauge, of, open, seconds};
use crate::names;

const TYPES: &[&str] = &["image_pairs", "property_photos", "prompt"];

pub(super) const ALL: &[Declared] = &[
    counter(
        names::JOBS_ENDED,
        Worker,
        &[of("type", TYPES), of("outcome", &["completed", "failed", "canceled"])],
        "Jobs that had been approved and ended, by how.",
    ),
    seconds(
        names::JOB_SECONDS,
        Worker,
        &[of("type", TYPES)],
        LONG_BUCKETS,
        "Time from approval to the video, of completed jobs.",
    ),
    seconds(
        names::JOB_OWN_SECONDS,
        Worker,
        &[of("type", TYPES)],
        LONG_BUCKETS,
        "The part of it that is ours: without the time in which something of the job was at a provider or the job was parked.",
    ),
    gauge(
        names::JOBS_LIVE,
        Database,
        &[of("state", &["planning", "approved", "processing"])],
        "Jobs that are on their way.",
    ),
    gauge(
        names::JOBS_PARKED,
        Database,
        &[of("why", &["budget", "provider", "paused"])],
        "Jobs on their way that wait for money, for a provider, or for a pause to end.",
    ),
    counter(
        names::STEPS,
        Worker,
        &[
            of(
                "kind",
                &[
                    "render", "music", "collect", "recall", "orphans", "stitch", "mix", "verify", "close",
                    "deliver", "hook_log",
                ],
            ),
            of("outcome", &["committed", "done", "retry", "park", "cancel", "fail"]),
        ],
        "Executions of a step by kind of task and outcome.",
    ),
    seconds(
        names::STEP_SECONDS,
        Worker,
        &[open("kind")],
        WORK_BUCKETS,
        "Wall time of one execution of a step.",
    ),
];
