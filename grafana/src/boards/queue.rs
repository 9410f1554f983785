//! Queues: what waits, what is claimed, what fails, who works.

use crate::panel::{Bad, Dashboard, Row, Variable, lines, stacked, states, unit};

pub(super) fn board() -> Dashboard {
    Dashboard {
        uid: "spool-queue",
        title: "Spool: queue",
        meaning: "What waits and for how long, how it is worked off, what fails, and who works.",
        variables: vec![
            Variable::Label { name: "queue", metric: "spool_queue_tasks" },
            Variable::Label { name: "kind", metric: "spool_queue_tasks" },
        ],
        rows: vec![waiting(), working(), failing(), health()],
    }
}

fn waiting() -> Row {
    Row {
        title: "What waits",
        panels: vec![
            stacked("Tasks by state", unit::COUNT, "Ready ones could run now; parked ones wait for something outside and cost nobody anything.")
                .of("sum by (state) (spool:tasks:sum{queue=~\"$queue\",kind=~\"$kind\"})", "{{state}}")
                .runbook("queue-old"),
            stacked("Ready tasks by kind", unit::COUNT, "A kind that only grows has too few workers.")
                .of("sum by (kind) (spool:tasks:sum{state=\"ready\",queue=~\"$queue\",kind=~\"$kind\"})", "{{kind}}")
                .of("vector(0)", "none")
                .runbook("queue-old"),
            lines("Oldest ready task", unit::SECONDS, "By kind. Over 5 minutes warns, over 30 pages.")
                .of("max by (queue, kind) (spool_queue_oldest_ready_seconds{queue=~\"$queue\",kind=~\"$kind\"})", "{{kind}}")
                .bad(Bad::Above(300.0))
                .runbook("queue-old"),
            lines("From ready to claimed", unit::SECONDS, "Half, 95 and 99 of 100 tasks are claimed within this time. Milliseconds while slots are free.")
                .quantiles("spool_queue_pickup_seconds", "{queue=~\"$queue\"}", "queue", ["{{queue}}: half", "{{queue}}: 95", "{{queue}}: 99"])
                .runbook("queue-old"),
            lines("In and out", unit::PER_MINUTE, "Tasks enqueued and tasks that ended. In the long run they are the same.")
                .of("sum(rate(spool_queue_enqueued_total{queue=~\"$queue\",kind=~\"$kind\"}[$__rate_interval])) * 60", "enqueued")
                .of("sum(rate(spool_queue_runs_total{kind=~\"$kind\",outcome=~\"succeeded|failed|canceled\"}[$__rate_interval])) * 60", "ended"),
            states("Paused queues", "1 while somebody has paused the queue.")
                .of("max by (queue) (spool_queue_paused{queue=~\"$queue\"})", "{{queue}}")
                .runbook("queue-paused"),
        ],
    }
}

fn working() -> Row {
    Row {
        title: "How it is worked off",
        panels: vec![
            lines("Workers", unit::COUNT, "Live workers of each queue. 0 with work in the queue pages.")
                .of("max by (queue) (spool_queue_workers{queue=~\"$queue\"})", "{{queue}}")
                .bad(Bad::Below(1.0))
                .runbook("no-worker"),
            lines("Slots", unit::COUNT, "Free ones against all. None free for long: start workers.")
                .of("sum by (queue) (spool_queue_slots_free{queue=~\"$queue\"})", "{{queue}}: free")
                .of("max by (queue) (spool_queue_slots{queue=~\"$queue\"})", "{{queue}}: all"),
            lines("Time of one run", unit::SECONDS, "95 of 100 runs of a step end within this time.")
                .of("spool:step:p95_5m{kind=~\"$kind\"}", "{{kind}}"),
            stacked("Runs by outcome", unit::PER_MINUTE, "Parked runs wait for something outside and use no attempt; retry and broken are attempts that failed.")
                .of("sum by (outcome) (rate(spool_queue_runs_total{kind=~\"$kind\"}[$__rate_interval])) * 60", "{{outcome}}")
                .runbook("runs-fail"),
            stacked("Claims", unit::PER_MINUTE, "Tasks claimed by queue.")
                .of("sum by (queue) (rate(spool_queue_claimed_total{queue=~\"$queue\"}[$__rate_interval])) * 60", "{{queue}}"),
            stacked("Woken", unit::PER_MINUTE, "Scheduled and parked tasks that were made ready, and tasks that schedules enqueued.")
                .of("sum(rate(spool_queue_promoted_total[$__rate_interval])) * 60", "made ready")
                .of("sum by (schedule) (rate(spool_queue_schedules_fired_total[$__rate_interval])) * 60", "{{schedule}}")
                .of("sum by (schedule) (rate(spool_queue_schedules_missed_total[$__rate_interval])) * 60", "{{schedule}}: missed")
                .of("vector(0)", "none"),
            stacked("Commands", unit::PER_MINUTE, "Tasks that were canceled, woken, put off, started at once or replaced while they waited, or retried. What a cancel takes with it is not counted.")
                .of("sum by (command) (rate(spool_queue_commands_total[$__rate_interval])) * 60", "{{command}}")
                .of("vector(0)", "none"),
        ],
    }
}

fn failing() -> Row {
    Row {
        title: "What fails",
        panels: vec![
            lines("Runs that fail", unit::SHARE, "By kind, without those that parked. Over half warns.")
                .of("spool:runs_failed:ratio_rate15m{kind=~\"$kind\"}", "{{kind}}")
                .bad(Bad::Above(0.5))
                .runbook("runs-fail"),
            stacked("Rescues", unit::COUNT, "Tasks taken from dead workers, past their deadline, or given back at a shutdown, in five minutes.")
                .of("sum by (reason) (increase(spool_queue_rescued_total[5m]))", "{{reason}}")
                .runbook("rescue-storm"),
            stacked("Leases lost", unit::COUNT, "Workers that found themselves given up for dead, and outcomes that came too late, in five minutes. 0 is good.")
                .of("sum(increase(spool_queue_leases_lost_total[5m]))", "leases lost")
                .of("sum by (kind) (increase(spool_queue_refused_total[5m]))", "late: {{kind}}")
                .of("vector(0)", "none")
                .runbook("rescue-storm"),
            stacked("Deadlines and strangers", unit::COUNT, "Tasks whose own deadline passed while they waited, and runs of kinds that the worker does not know, in five minutes.")
                .of("sum(increase(spool_queue_expired_total[5m]))", "deadline passed")
                .of("sum(increase(spool_queue_unknown_total[5m]))", "not known")
                .runbook("unknown-kind"),
        ],
    }
}

fn health() -> Row {
    Row {
        title: "How the queue itself does",
        panels: vec![
            lines(
                "Time of a claim",
                unit::SECONDS,
                "Half, 95 and 99 of 100 claim statements. They grow when vacuum is held up.",
            )
            .quantiles(
                "spool_queue_claim_seconds",
                "{queue=~\"$queue\"}",
                "",
                ["half", "95 of 100", "99 of 100"],
            )
            .runbook("pinned-xmin"),
            lines("Time of a batch of completions", unit::SECONDS, "Half, 95 and 99 of 100.")
                .quantiles("spool_queue_flush_seconds", "", "", ["half", "95 of 100", "99 of 100"])
                .of("vector(0)", "none"),
            lines("Dead rows", unit::COUNT, "Of the queue's tables.")
                .of("max by (table) (spool_postgres_dead_rows{table=~\"queue[.].*\"})", "{{table}}")
                .bad(Bad::Above(200_000.0))
                .runbook("dead-rows"),
            stacked(
                "Statements that failed",
                unit::COUNT,
                "Of the workers' own loops, in five minutes; they are repeated.",
            )
            .of("sum by (operation) (increase(spool_queue_database_errors_total[5m]))", "{{operation}}")
            .of("vector(0)", "none"),
            states("Cut off from Postgres", "1 while a worker does not reach its database.")
                .of("1 - spool_queue_database_connected", "{{instance}}")
                .runbook("target-down"),
        ],
    }
}
