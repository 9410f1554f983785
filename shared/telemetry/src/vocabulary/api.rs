//! What callers ask, and how it is answered.

use crate::declared::By::Api;
use crate::declared::{Declared, REQUEST_BUCKETS, counter, gauge, of, open, seconds};
use crate::names;

pub(super) const ALL: &[Declared] = &[
    counter(
        names::HTTP_REQUESTS,
        Api,
        &[open("route"), open("method"), open("status")],
        "Requests answered, by route template, method and status.",
    ),
    seconds(
        names::HTTP_REQUEST_SECONDS,
        Api,
        &[open("route"), open("method")],
        REQUEST_BUCKETS,
        "Time from the first byte of a request to the head of its answer; polls that asked to be held are left out.",
    ),
    gauge(
        names::HTTP_STREAMS,
        Api,
        &[of("kind", &["events", "wait"])],
        "Answers held open by this process: event streams (events) and long polls (wait).",
    ),
    counter(
        names::STATUS_CACHE,
        Api,
        &[of("result", &["hit", "joined", "revalidated", "miss"])],
        "Polls of one job by where the answer came from: kept (hit), being read for another poll (joined), one narrow row (revalidated), all rows (miss).",
    ),
    counter(
        names::IDEMPOTENCY,
        Api,
        &[of("result", &["new", "replayed", "conflict", "mismatch"])],
        "Requests with an idempotency key that changed something (new), came again (replayed), met themselves (conflict) or asked something else (mismatch).",
    ),
    seconds(
        names::DB_WAIT_SECONDS,
        Api,
        &[],
        REQUEST_BUCKETS,
        "Time that a request waited for a connection of the pool.",
    ),
];
