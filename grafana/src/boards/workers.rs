//! Workers and FFmpeg: where the time goes that is ours.

use crate::panel::{Bad, Dashboard, Row, Variable, lines, stacked, states, unit};

pub(super) fn board() -> Dashboard {
    Dashboard {
        uid: "spool-workers",
        title: "Spool: workers and FFmpeg",
        meaning: "Where the time goes that is ours: steps, FFmpeg, media, and the processes themselves.",
        variables: vec![Variable::Label { name: "kind", metric: "spool_step_total" }],
        rows: vec![steps(), ffmpeg(), media(), process()],
    }
}

fn steps() -> Row {
    Row {
        title: "Steps",
        panels: vec![
            lines("Our own part of a job", unit::SECONDS, "From approval to the video, without the time at providers and while parked: half and 95 of 100. 4 minutes are promised.")
                .quantiles("spool_job_own_seconds", "", "", ["half", "95 of 100", ""])
                .bad(Bad::Above(240.0))
                .runbook("jobs-slow"),
            lines("Time of one execution", unit::SECONDS, "95 of 100, by kind.")
                .of("spool:step:p95_5m{kind=~\"$kind\"}", "{{kind}}")
                .runbook("jobs-slow"),
            stacked("Executions by outcome", unit::PER_MINUTE, "committed wrote its end itself; park waits for something outside.")
                .of("sum by (outcome) (rate(spool_step_total{kind=~\"$kind\"}[$__rate_interval])) * 60", "{{outcome}}")
                .runbook("runs-fail"),
        ],
    }
}

fn ffmpeg() -> Row {
    Row {
        title: "FFmpeg",
        panels: vec![
            lines("Time of a run", unit::SECONDS, "95 of 100, by operation.")
                .of("histogram_quantile(0.95, sum by (operation, le) (rate(spool_ffmpeg_seconds_bucket[$__rate_interval])))", "{{operation}}"),
            lines("Speed", unit::TIMES, "Seconds of film or sound for each second of work. Below 1 it is slower than playing.")
                .of("spool:ffmpeg_speed:ratio_rate15m", "{{operation}}")
                .runbook("jobs-slow"),
            stacked("Runs", unit::PER_MINUTE, "By operation.")
                .of("sum by (operation) (rate(spool_ffmpeg_runs_total[$__rate_interval])) * 60", "{{operation}}"),
            lines("Runs that fail", unit::SHARE, "By operation. Uploads that are no pictures fail rightly.")
                .of("sum by (operation) (rate(spool_ffmpeg_runs_total{outcome!=\"ok\"}[$__rate_interval])) / sum by (operation) (rate(spool_ffmpeg_runs_total[$__rate_interval]))", "{{operation}}")
                .of("vector(0)", "none")
                .bad(Bad::Above(0.2))
                .runbook("ffmpeg-fails"),
        ],
    }
}

fn media() -> Row {
    Row {
        title: "Media",
        panels: vec![
            stacked("Stored", unit::BYTES, "By type; each content counts once.")
                .of("max by (type) (spool_storage_bytes)", "{{type}}")
                .runbook("disk-low"),
            stacked("Files", unit::COUNT, "By type; each content counts once.").of("max by (type) (spool_storage_files)", "{{type}}"),
            lines("Free", unit::SHARE, "Of the disks for unfinished files (scratch) and for a local store (media). Below 10 % pages.")
                .of("min by (instance, place) (spool_disk_free_bytes / spool_disk_size_bytes)", "{{instance}} {{place}}")
                .bad(Bad::Below(0.1))
                .runbook("disk-low"),
            stacked("Fetched and served", unit::BYTES_PER_SECOND, "Media bytes through all processes.")
                .of("sum by (job, direction) (rate(spool_media_bytes_total[$__rate_interval]))", "{{job}} {{direction}}"),
        ],
    }
}

fn process() -> Row {
    Row {
        title: "The processes",
        panels: vec![
            states("Not reached", "1 while Prometheus cannot scrape a process.")
                .of("1 - up{job=~\"spool.*\"}", "{{job}} {{instance}}")
                .runbook("target-down"),
            lines("Processor", unit::COUNT, "Cores that each worker uses, without its FFmpegs.")
                .of("rate(process_cpu_seconds_total{job=\"spool-worker\"}[$__rate_interval])", "{{instance}}"),
            lines("Memory", unit::BYTES, "Of each worker, without its FFmpegs.")
                .of("process_resident_memory_bytes{job=\"spool-worker\"}", "{{instance}}")
                .runbook("rescue-storm"),
            lines("Connections in use", unit::SHARE, "Of each worker's pool for its steps.")
                .of("spool_db_pool_connections{state=\"used\",job=\"spool-worker\"} / ignoring (state) spool_db_pool_connections_max{job=\"spool-worker\"}", "{{instance}}")
                .bad(Bad::Above(0.95))
                .runbook("pool-busy"),
            lines("Running for", unit::SECONDS, "A fall is a restart.")
                .of("time() - process_start_time_seconds{job=~\"spool.*\"}", "{{job}} {{instance}}")
                .runbook("rescue-storm"),
        ],
    }
}
