//! Every measurement that the queue emits, through the `metrics` facade.

use std::time::{Duration, Instant};

use metrics::{counter, gauge, histogram};

const ENQUEUED: &str = "spool_queue_enqueued_total";
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

/// Names, units and meaning of every metric, for whoever installs the recorder.
pub fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_counter!(
        ENQUEUED,
        "Tasks enqueued by this process whose bell was rung after the commit, by queue and kind"
    );
    describe_counter!(ENDED, "Runs that ended, by kind and outcome");
    describe_counter!(REFUSED, "Outcomes that came after the lease was lost, by kind");
    describe_counter!(RESCUED, "Tasks taken from a dead worker or past their deadline, by reason");
    describe_counter!(EXPIRED, "Waiting tasks that this process ended because their deadline had passed");
    describe_counter!(
        UNKNOWN,
        "Runs parked because this worker does not know the kind or the version, by kind"
    );
    describe_counter!(LEASES_LOST, "Times that this worker found itself given up for dead");
    describe_histogram!(CLAIM_SECONDS, Unit::Seconds, "Time of one claim statement, by queue");
    describe_counter!(CLAIMED, "Tasks claimed by this process, by queue");
    describe_histogram!(PICKUP_SECONDS, Unit::Seconds, "Time from ready to claimed, by queue");
    describe_histogram!(FLUSH_SECONDS, Unit::Seconds, "Time of one statement that completes a batch");
    describe_counter!(PROMOTED, "Scheduled and parked tasks that this process made ready");
    describe_counter!(FIRED, "Tasks enqueued by schedules, by schedule");
    describe_counter!(MISSED, "Turns of schedules that came too late for a planned moment, by schedule");
    describe_gauge!(SLOTS_FREE, "Free slots of this worker, by queue");
    describe_counter!(DATABASE_ERRORS, "Statements of the worker's own loops that failed, by operation");
    describe_gauge!(CONNECTED, "1 while the worker reaches its database");
}

pub(crate) fn enqueued(queue: String, kind: String, tasks: u64) {
    counter!(ENQUEUED, "queue" => queue, "kind" => kind).increment(tasks);
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

pub(crate) fn unknown(kind: &str) {
    counter!(UNKNOWN, "kind" => kind.to_owned()).increment(1);
}

pub(crate) fn lease_lost() {
    counter!(LEASES_LOST).increment(1);
}

pub(crate) fn claimed(queue: &str, started: Instant, waited: impl Iterator<Item = f64>) {
    histogram!(CLAIM_SECONDS, "queue" => queue.to_owned()).record(started.elapsed());
    let pickup = histogram!(PICKUP_SECONDS, "queue" => queue.to_owned());
    let mut count = 0;
    for seconds in waited {
        pickup.record(seconds.max(0.0));
        count += 1;
    }
    counter!(CLAIMED, "queue" => queue.to_owned()).increment(count);
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
