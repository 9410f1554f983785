//! The API: requests, how quickly and how well they are answered, and what it takes.

use crate::panel::{Bad, Dashboard, Row, Variable, lines, stacked, unit};

pub(super) fn board() -> Dashboard {
    Dashboard {
        uid: "spool-api",
        title: "Spool: API",
        meaning: "What is asked, how quickly and how well it is answered, and what that takes.",
        variables: vec![Variable::Label { name: "route", metric: "spool_http_requests_total" }],
        rows: vec![requests(), polls(), webhooks(), process()],
    }
}

fn requests() -> Row {
    Row {
        title: "Requests",
        panels: vec![
            stacked("By status", unit::PER_SECOND, "5xx is ours, 4xx the caller's.")
                .of("sum by (status) (rate(spool_http_requests_total{route=~\"$route\"}[$__rate_interval]))", "{{status}}")
                .runbook("requests-fail"),
            stacked("By route", unit::PER_SECOND, "The ten busiest.")
                .of("topk(10, sum by (route, method) (rate(spool_http_requests_total{route=~\"$route\"}[$__rate_interval])))", "{{method}} {{route}}"),
            lines("Server errors", unit::SHARE, "0.1 % may be.")
                .of("spool:requests_failed:ratio_rate5m", "5 minutes")
                .of("spool:requests_failed:ratio_rate1h", "an hour")
                .bad(Bad::Above(0.001))
                .runbook("requests-fail"),
            lines("Time to answer", unit::SECONDS, "Half, 95 and 99 of 100 requests. Polls that asked to be held are left out.")
                .quantiles("spool_http_request_seconds", "{route=~\"$route\"}", "", ["half", "95 of 100", "99 of 100"]),
            lines("Slowest routes", unit::SECONDS, "95 of 100 requests of a route are answered within this time.")
                .of("topk(8, spool:http_request:p95_5m{route=~\"$route\"})", "{{method}} {{route}}"),
            stacked("Idempotency keys", unit::PER_MINUTE, "Requests that did something (new), came again (replayed), met themselves (conflict) or asked something else (mismatch).")
                .of("sum by (result) (rate(spool_idempotency_total[$__rate_interval])) * 60", "{{result}}"),
        ],
    }
}

fn polls() -> Row {
    Row {
        title: "Status polls",
        panels: vec![
            lines("Answered from memory", unit::SHARE, "Above 95 % is good.")
                .of("spool:polls_cached:ratio_rate5m", "from memory")
                .bad(Bad::Below(0.95))
                .runbook("polls-slow"),
            stacked("Where the answer came from", unit::PER_SECOND, "Kept (hit), being read for another poll (joined), one narrow row (revalidated), all rows (miss).")
                .of("sum by (result) (rate(spool_status_cache_total[$__rate_interval]))", "{{result}}"),
            lines("Time of a poll", unit::SECONDS, "99 of 100 within 50 ms is promised.")
                .quantiles("spool_http_request_seconds", "{route=\"/api/v3/jobs/{id}\",method=\"GET\"}", "", ["half", "95 of 100", "99 of 100"])
                .bad(Bad::Above(0.05))
                .runbook("polls-slow"),
            lines("Held open", unit::COUNT, "Event streams and long polls.")
                .of("sum by (kind) (spool_http_streams)", "{{kind}}"),
            stacked("Media", unit::BYTES_PER_SECOND, "Bytes that came in and went out.")
                .of("sum by (direction) (rate(spool_media_bytes_total{job=\"spool-api\"}[$__rate_interval]))", "{{direction}}"),
        ],
    }
}

fn webhooks() -> Row {
    Row {
        title: "Webhooks to callers",
        panels: vec![
            stacked(
                "Tries by outcome",
                unit::PER_MINUTE,
                "Taken (delivered), to be tried again (retried), given up (failed), or the endpoint is gone.",
            )
            .of(
                "sum by (outcome) (rate(spool_webhook_deliveries_total[$__rate_interval])) * 60",
                "{{outcome}}",
            ),
            lines("Not delivered yet", unit::COUNT, "Endpoints that are down are tried for a day.")
                .of("max(spool_webhook_pending)", "pending"),
            lines("The oldest of them", unit::SECONDS, "Time since it happened.")
                .of("max(spool_webhook_oldest_pending_age_seconds)", "oldest"),
            lines("Time of an endpoint's answer", unit::SECONDS, "Half, 95 and 99 of 100 tries.").quantiles(
                "spool_webhook_send_seconds",
                "",
                "",
                ["half", "95 of 100", "99 of 100"],
            ),
            stacked(
                "Endpoints",
                unit::COUNT,
                "Failing ones have not taken anything since their last failure.",
            )
            .of("max by (state) (spool_webhook_endpoints)", "{{state}}"),
        ],
    }
}

fn process() -> Row {
    Row {
        title: "What it takes",
        panels: vec![
            lines("Connections in use", unit::SHARE, "Of each process' pool.")
                .of("spool_db_pool_connections{state=\"used\",job=\"spool-api\"} / ignoring (state) spool_db_pool_connections_max{job=\"spool-api\"}", "{{instance}}")
                .bad(Bad::Above(0.95))
                .runbook("pool-busy"),
            lines("Wait for a connection", unit::SECONDS, "Half, 95 and 99 of 100 requests that need one.")
                .quantiles("spool_db_wait_seconds", "", "", ["half", "95 of 100", "99 of 100"])
                .runbook("pool-busy"),
            lines("Processor", unit::COUNT, "Cores that each process uses.")
                .of("rate(process_cpu_seconds_total{job=\"spool-api\"}[$__rate_interval])", "{{instance}}"),
            lines("Memory", unit::BYTES, "Of each process.")
                .of("process_resident_memory_bytes{job=\"spool-api\"}", "{{instance}}"),
            lines("Open files", unit::COUNT, "Sockets among them.")
                .of("process_open_fds{job=\"spool-api\"}", "{{instance}}"),
        ],
    }
}
