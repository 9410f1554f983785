//! Every measurement that the queue emits, through the `metrics` facade.

use std::time::{Duration, Instant};

use metrics::{counter, gauge, histogram};

const ENQUEUED: &str = "spool_queue_enqueued_total";
const COMMANDS: &str = "spool_queue_commands_total";
const ENDED: &str = "spool_queue_runs_total";
const REFUSED: &str = "spool_queue_refused_total";
const RESCUED: &str = "spool_queue_rescued_total";
const EXPIRED: &str = "spool_queue_expired_total";
const UNKNOWN: &str = "spool_queue_unknown_total";
const LEASES_LOST: &str = "spool_queue_leases_lost_total";
const CLAIM_SECONDS: &str = "spool_queue_claim_seconds";
const CLAIMED: &str = "spool_queue_claimed_total";
const PICKUP_SECONDS: &str = "spool_queue_pickup_seconds";
const FLUSH_SECONDS: &str = "spool_queue_flush_seconds";
const PROMOTED: &str = "spool_queue_promoted_total";
const FIRED: &str = "spool_queue_schedules_fired_total";
const MISSED: &str = "spool_queue_schedules_missed_total";
const SLOTS_FREE: &str = "spool_queue_slots_free";
const DATABASE_ERRORS: &str = "spool_queue_database_errors_total";
const CONNECTED: &str = "spool_queue_database_connected";

/// Every name, for whoever describes them to a recorder.
pub const NAMES: [&str; 18] = [
    ENQUEUED,
    COMMANDS,
    ENDED,
    REFUSED,
    RESCUED,
    EXPIRED,
    UNKNOWN,
    LEASES_LOST,
    CLAIM_SECONDS,
    CLAIMED,
    PICKUP_SECONDS,
    FLUSH_SECONDS,
    PROMOTED,
    FIRED,
    MISSED,
    SLOTS_FREE,
    DATABASE_ERRORS,
    CONNECTED,
];

pub(crate) fn enqueued(queue: String, kind: String, tasks: u64) {
    counter!(ENQUEUED, "queue" => queue, "kind" => kind).increment(tasks);
}

/// Without the kind: what answers a command does not say it, and it is not asked for only to be counted.
pub(crate) fn commanded(command: &'static str, tasks: u64) {
    counter!(COMMANDS, "command" => command).increment(tasks);
}

pub(crate) fn ended(kind: &str, outcome: &'static str, count: u64) {
    counter!(ENDED, "kind" => kind.to_owned(), "outcome" => outcome).increment(count);
}

pub(crate) fn refused(kind: &str) {
    counter!(REFUSED, "kind" => kind.to_owned()).increment(1);
}

pub(crate) fn rescued(reason: &'static str, count: u64) {
    counter!(RESCUED, "reason" => reason).increment(count);
}

pub(crate) fn expired(count: u64) {
    counter!(EXPIRED).increment(count);
}

/// Without the kind: whoever enqueues by plain SQL may name as many as they like. The log names it.
pub(crate) fn unknown() {
    counter!(UNKNOWN).increment(1);
}

pub(crate) fn lease_lost() {
    counter!(LEASES_LOST).increment(1);
}

/// Of each task the kind, if this worker knows it, and how long it had waited. Whoever enqueues by plain SQL may name as many kinds as they
/// like: the others count as one.
pub(crate) fn claimed<'k>(
    queue: &str,
    started: Instant,
    tasks: impl Iterator<Item = (Option<&'k str>, f64)>,
) {
    histogram!(CLAIM_SECONDS, "queue" => queue.to_owned()).record(started.elapsed());
    let pickup = histogram!(PICKUP_SECONDS, "queue" => queue.to_owned());
    let mut counts: Vec<(&str, u64)> = Vec::new();
    for (kind, waited) in tasks {
        pickup.record(waited.max(0.0));
        let kind = kind.unwrap_or("unknown");
        match counts.iter_mut().find(|(counted, _)| *counted == kind) {
            Some((_, count)) => *count += 1,
            None => counts.push((kind, 1)),
        }
    }
    for (kind, count) in counts {
        counter!(CLAIMED, "queue" => queue.to_owned(), "kind" => kind.to_owned()).increment(count);
    }
}

pub(crate) fn flushed(took: Duration) {
    histogram!(FLUSH_SECONDS).record(took);
}

pub(crate) fn promoted(count: i64) {
    if count > 0 {
        counter!(PROMOTED).increment(count.unsigned_abs());
    }
}

pub(crate) fn schedule_fired(schedule: &str, tasks: usize, missed: bool) {
    counter!(FIRED, "schedule" => schedule.to_owned()).increment(tasks as u64);
    if missed {
        counter!(MISSED, "schedule" => schedule.to_owned()).increment(1);
    }
}

pub(crate) fn slots_free(queue: &str, free: usize) {
    gauge!(SLOTS_FREE, "queue" => queue.to_owned()).set(free as f64);
}

pub(crate) fn database_error(operation: &'static str) {
    counter!(DATABASE_ERRORS, "operation" => operation).increment(1);
}

pub(crate) fn connected(is: bool) {
    gauge!(CONNECTED).set(if is { 1.0 } else { 0.0 });
}
