//! For everyone: is all well, what is going on, what fires.

use crate::panel::{Bad, Dashboard, Row, lines, stacked, stat, states, table, unit};

pub(super) fn board() -> Dashboard {
    Dashboard {
        uid: "spool-overview",
        title: "Spool: overview",
        meaning: "Is all well, what is going on, and what fires. Every other dashboard is one click away.",
        variables: Vec::new(),
        rows: vec![well(), going_on(), firing(), postgres()],
    }
}

fn well() -> Row {
    Row {
        title: "Is all well?",
        panels: vec![
            stat("Alerts for people", unit::COUNT, "Alerts that page or warn just now. 0 is good.")
                .of("count(ALERTS{alertstate=\"firing\",severity=~\"page|warning\"}) or vector(0)", "")
                .bad(Bad::Above(0.0)),
            stat("Jobs that end well (1 h)", unit::SHARE, "Share of the jobs that ended by themselves and have their video. 95 % is promised.")
                .of("1 - spool:jobs_failed:ratio_rate1h", "")
                .bad(Bad::Below(0.95))
                .runbook("jobs-fail"),
            stat("Oldest ready task", unit::SECONDS, "How long the task that waits longest could have been running. Seconds are good, minutes are not.")
                .of("max(spool_queue_oldest_ready_seconds) or vector(0)", "")
                .bad(Bad::Above(300.0))
                .runbook("queue-old"),
            stat("Breakers open", unit::COUNT, "Providers and models that are left alone because they fail or an operator says so. 0 is good.")
                .of("sum(max by (provider, model) (spool_breaker_open))", "")
                .bad(Bad::Above(0.0))
                .runbook("breaker-open"),
            stat("Left of today's hard limit", unit::DOLLARS, "What may still be spent today.")
                .of("min(spool_budget_headroom_micros{scope=\"all\",period=\"day\",limit=\"hard\"}) / 1e6", "")
                .bad(Bad::Below(0.0))
                .runbook("budget-hard-reached"),
            stat("Rows that are not as they must be", unit::COUNT, "Broken invariants. Always 0.")
                .of("sum(max by (invariant) (spool_invariant_violations))", "")
                .bad(Bad::Above(0.0))
                .runbook("invariant-broken"),
        ],
    }
}

fn going_on() -> Row {
    Row {
        title: "What is going on",
        panels: vec![
            stacked("Jobs that end", unit::PER_MINUTE, "Jobs a minute by how they ended. Failed ones should be rare.")
                .of("sum by (outcome) (rate(spool_jobs_ended_total[$__rate_interval])) * 60", "{{outcome}}")
                .runbook("jobs-fail"),
            lines("Jobs on their way", unit::COUNT, "Approved ones wait for their first purchase, processing ones are being made. Those of them that are parked wait for money, a provider or the end of a pause.")
                .of("sum by (state) (max by (state) (spool_jobs_live))", "{{state}}")
                .of("sum by (why) (max by (why) (spool_jobs_parked))", "parked: {{why}}"),
            lines("From approval to the video", unit::SECONDS, "Half of the videos are ready within the first line, 95 of 100 within the second. The dashed objective is for our own part alone: 4 minutes.")
                .quantiles("spool_job_seconds", "", "", ["half", "95 of 100", ""])
                .quantiles("spool_job_own_seconds", "", "", ["", "95 of 100, our own part", ""])
                .runbook("jobs-slow"),
            stacked("Tasks in the queue", unit::COUNT, "What could run (ready), runs, waits for its time, for something outside (parked) or for other tasks (blocked).")
                .of("sum by (state) (spool:tasks:sum)", "{{state}}")
                .runbook("queue-old"),
            stacked("Spent an hour, by model", unit::DOLLARS, "At the present rate.")
                .of("sum by (model) (rate(spool_purchase_cost_micros_total[$__rate_interval])) * 3600 / 1e6", "{{model}}")
                .runbook("spend-rate"),
            lines("Requests that fail", unit::SHARE, "Share of requests answered with a 5xx, and of polls slower than 50 ms.")
                .of("spool:requests_failed:ratio_rate5m", "5xx")
                .of("spool:polls_slow:ratio_rate5m", "slow polls")
                .runbook("requests-fail"),
        ],
    }
}

fn firing() -> Row {
    Row {
        title: "What fires",
        panels: vec![
            states("Alerts over time", "Red while one fires. page: somebody is called; warning: somebody looks today; ticket: somebody looks some day.")
                .of("max by (alertname, severity) (ALERTS{alertstate=\"firing\",severity!=\"none\"})", "{{alertname}} ({{severity}})")
                .of("vector(0)", "none")
                .wide(12),
            table("Firing now", "Every alert that fires, by what it is about. Its name is that of its page in docs/runbooks. Watchdog always fires: it shows that the way of alerts works.")
                .of("max by (severity, alertname, provider, model, queue, kind, scope, period) (ALERTS{alertstate=\"firing\"})", "")
                .wide(12),
        ],
    }
}

fn postgres() -> Row {
    Row {
        title: "Postgres",
        panels: vec![
            lines("Oldest row versions needed", unit::SECONDS, "For how long somebody has needed old row versions, and the oldest transaction. Minutes make everything slow.")
                .of("max by (holder, application) (spool_postgres_pinned_xmin_seconds)", "{{holder}} {{application}}")
                .of("max(spool_postgres_oldest_transaction_seconds)", "oldest transaction")
                .bad(Bad::Above(600.0))
                .runbook("pinned-xmin"),
            lines("Dead rows", unit::COUNT, "Of the tables that change all the time. They rise and fall with vacuum.")
                .of("topk(6, max by (table) (spool_postgres_dead_rows))", "{{table}}")
                .bad(Bad::Above(200_000.0))
                .runbook("dead-rows"),
            lines("Connections", unit::COUNT, "Against what Postgres allows.")
                .of("max(spool_postgres_connections)", "used")
                .of("max(spool_postgres_connections_max)", "allowed")
                .runbook("connections-few"),
            lines("Transactions that vacuum waits for", unit::COUNT, "Since the oldest row version that somebody needs.")
                .of("max by (holder, application) (spool_postgres_pinned_xmin_transactions)", "{{holder}} {{application}}")
                .runbook("pinned-xmin"),
            lines("Standbys", unit::SECONDS, "How far the slowest is behind; 0 without one.")
                .of("max(spool_postgres_replication_lag_seconds)", "behind")
                .bad(Bad::Above(30.0))
                .runbook("replication-lag"),
            lines("Standbys connected", unit::COUNT, "A fall is a standby that lost its connection.")
                .of("max(spool_postgres_replicas)", "connected")
                .runbook("replica-lost"),
            lines("Notification queue", unit::SHARE, "Used share. Near 0 is good.")
                .of("max(spool_postgres_notify_queue_ratio)", "used")
                .bad(Bad::Above(0.3))
                .runbook("notify-queue-fills"),
            lines("Size", unit::BYTES, "Of the database and its largest hot tables.")
                .of("max(spool_postgres_database_bytes)", "database")
                .of("topk(5, max by (table) (spool_postgres_table_bytes))", "{{table}}"),
            lines("Age and cost of these figures", unit::SECONDS, "Figures of the database are worked out once for all. Quick ones are younger than 20 s, thorough ones than 75 s.")
                .of("min by (part) (spool_figures_age_seconds)", "{{part}}: age")
                .of("max by (part) (spool_figures_cost_seconds)", "{{part}}: cost")
                .of("min(spool_invariants_age_seconds)", "invariants: age")
                .runbook("figures-old")
                .wide(12),
            table("Builds", "Which versions run. One line but for roll-outs.")
                .of("count by (job, version, revision) (spool_build_info)", "")
                .runbook("versions-mixed")
                .wide(12),
        ],
    }
}
