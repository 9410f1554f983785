//! The queue. Its crate stands alone and emits by these names; a test of the worker holds the two lists together.

use crate::declared::By::{Database, Programs, Worker};
use crate::declared::{DEFAULT_SECONDS_BUCKETS, Declared, counter, gauge, of, open, seconds};
use crate::names;
use metrics::Unit;

pub(super) const ALL: &[Declared] = &[
    counter(
        "spool_queue_enqueued_total",
        Programs,
        &[open("queue"), open("kind")],
        "Tasks enqueued by this process whose bell was rung after the commit.",
    ),
    counter(
        "spool_queue_commands_total",
        Programs,
        &[of("command", &["cancel", "retry", "wake", "snooze", "run_now", "replace"])],
        "Tasks that commands of this process changed while they waited, or brought back; counted when the bell is rung after the commit.",
    ),
    counter(
        "spool_queue_claimed_total",
        Worker,
        &[open("queue"), open("kind")],
        "Tasks claimed by this process; all kinds that it does not know are one, `unknown`.",
    ),
    counter(
        "spool_queue_runs_total",
        Worker,
        &[open("kind"), open("outcome")],
        "Runs that ended, by kind and outcome (succeeded, failed, canceled, retry, broken, parked, handed_back); each but the last two is an attempt.",
    ),
    counter(
        "spool_queue_refused_total",
        Worker,
        &[open("kind")],
        "Outcomes that came after the lease was lost, and changed nothing.",
    ),
    counter(
        "spool_queue_rescued_total",
        Worker,
        &[of("reason", &["lease_expired", "deadline_passed", "handed_back"])],
        "Tasks taken from a dead worker, past their deadline, or given back at a shutdown.",
    ),
    counter(
        "spool_queue_expired_total",
        Worker,
        &[],
        "Waiting tasks that this process ended because their deadline had passed.",
    ),
    counter(
        "spool_queue_unknown_total",
        Worker,
        &[],
        "Runs put off because this worker does not know the kind of the task or its version.",
    ),
    counter(
        "spool_queue_leases_lost_total",
        Worker,
        &[],
        "Times that this worker found itself given up for dead.",
    ),
    seconds(
        "spool_queue_claim_seconds",
        Worker,
        &[open("queue")],
        DEFAULT_SECONDS_BUCKETS,
        "Time of one claim statement.",
    ),
    seconds(
        "spool_queue_pickup_seconds",
        Worker,
        &[open("queue")],
        DEFAULT_SECONDS_BUCKETS,
        "Time from ready to claimed.",
    ),
    seconds(
        "spool_queue_flush_seconds",
        Worker,
        &[],
        DEFAULT_SECONDS_BUCKETS,
        "Time of one statement that completes a batch.",
    ),
    counter(
        "spool_queue_promoted_total",
        Worker,
        &[],
        "Scheduled and parked tasks that this process made ready.",
    ),
    counter("spool_queue_schedules_fired_total", Worker, &[open("schedule")], "Tasks enqueued by schedules."),
    counter(
        "spool_queue_schedules_missed_total",
        Worker,
        &[open("schedule")],
        "Turns of schedules that came too late for a planned moment.",
    ),
    gauge("spool_queue_slots_free", Worker, &[open("queue")], "Free slots of this worker."),
    counter(
        "spool_queue_database_errors_total",
        Worker,
        &[open("operation")],
        "Statements of the worker's own loops that failed.",
    ),
    gauge("spool_queue_database_connected", Worker, &[], "1 while the worker reaches its database."),
    gauge(
        names::QUEUE_TASKS,
        Database,
        &[open("queue"), open("kind"), of("state", &["ready", "scheduled", "parked", "blocked", "running"])],
        "Tasks in the queue by state.",
    ),
    gauge(
        names::QUEUE_OLDEST_READY,
        Database,
        &[open("queue"), open("kind")],
        "How long the oldest ready task has been ready; 0 where none is. What waits for its time or is parked does not count.",
    )
    .unit(Unit::Seconds),
    gauge(names::QUEUE_WORKERS, Database, &[open("queue")], "Live workers that serve the queue."),
    gauge(names::QUEUE_SLOTS, Database, &[open("queue")], "Slots of all live workers together."),
    gauge(names::QUEUE_PAUSED, Database, &[open("queue")], "1 while the queue is paused."),
];
