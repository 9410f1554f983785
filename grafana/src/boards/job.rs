//! One job by its number. No metric has a number of a job: these are questions to Postgres, by a role that may only read.

use crate::panel::{Dashboard, Row, Variable, table, text};

pub(super) fn board() -> Dashboard {
    Dashboard {
        uid: "spool-job",
        title: "Spool: one job",
        meaning: "Everything that is written down of one job: where it stands, its tasks and their runs, its purchases and what they cost.",
        variables: vec![Variable::Text { name: "job", label: "Job" }],
        rows: vec![stands(), tasks(), purchases(), told()],
    }
}

fn stands() -> Row {
    Row {
        title: "Where it stands",
        panels: vec![
            text(
                "How to go on",
                "`spool explain ${job}` says for each task what it waits for, and when the job will probably end. Its trace is behind the link above. Logs have `job_id`.",
            ),
            table("Job", "One line.").sql(
                "SELECT j.id, j.type, j.state, j.stage, j.progress_percent AS percent, j.revision, j.parked, j.parked_why, j.partial, j.error_code, j.error,
       c.name AS client, j.inserted_at, j.approved_at, j.finished_at, j.finished_at - j.approved_at AS took, j.estimate_micros / 1e6 AS estimated
FROM jobs j LEFT JOIN clients c ON c.id = j.client_id WHERE j.id = ${job:sqlstring}::bigint",
            ),
            table("Scenes", "In the order of the film.").sql(
                "SELECT index + 1 AS scene, version, title, state, duration_ms / 1000.0 AS seconds, left(clip_digest, 12) AS clip, error
FROM scenes WHERE job_id = ${job:sqlstring}::bigint ORDER BY index",
            ),
        ],
    }
}

fn tasks() -> Row {
    Row {
        title: "Tasks",
        panels: vec![
            table("In the queue", "What is left to do.").sql(
                "SELECT t.id, t.kind, (ARRAY['ready', 'scheduled', 'parked', 'blocked', 'running'])[t.state + 1] AS state,
    t.attempt, t.parks, t.run_at, t.claimed_at, w.name AS worker, coalesce(t.cancel_why, t.why) AS why, t.last_error
FROM queue.task t LEFT JOIN queue.worker w ON w.id = t.worker_id WHERE t.group_key = 'job/' || ${job:sqlstring} ORDER BY t.id",
            ),
            table("Ended", "What has been done, and what will not be.").sql(
                "SELECT id, kind, (ARRAY['succeeded', 'failed', 'canceled'])[state - 4] AS state,
    attempt, parks, started_at, finished_at, finished_at - started_at AS last_run, why, error_class, error
FROM queue.task_history WHERE group_key = 'job/' || ${job:sqlstring} ORDER BY finished_at",
            ),
            table("Runs that ended otherwise", "Retries, rescues, refused outcomes.").sql(
                "SELECT r.task_id, (ARRAY['done', 'retry', 'failed', 'canceled', 'handed_back', 'lease_expired', 'deadline_passed', 'refused', 'broken'])[r.outcome] AS outcome,
    r.attempt, r.started_at, r.ended_at, r.counted, r.error_class, r.error
FROM queue.run r WHERE r.task_id IN (SELECT id FROM queue.task_history WHERE group_key = 'job/' || ${job:sqlstring}
    UNION SELECT id FROM queue.task WHERE group_key = 'job/' || ${job:sqlstring}) ORDER BY r.ended_at",
            ),
        ],
    }
}

fn purchases() -> Row {
    Row {
        title: "Purchases",
        panels: vec![
            table("Predictions", "Each paid call: what was held, what it cost, and how it ended.").sql(
                "SELECT id, purpose, ordinal, attempt, model, state, external_id, estimate_micros / 1e6 AS held, list_micros / 1e6 AS listed, cost_micros / 1e6 AS cost,
       intent_at, submitted_at, finished_at, finished_at - submitted_at AS took, polls, reused_from IS NOT NULL AS reused, error_class, error
FROM predictions WHERE job_id = ${job:sqlstring}::bigint ORDER BY intent_at",
            ),
            table("Ledger", "Every cent in order.").sql(
                "SELECT at, kind, micros / 1e6 AS dollars, model, prediction_id FROM ledger WHERE job_id = ${job:sqlstring}::bigint ORDER BY id",
            ),
        ],
    }
}

fn told() -> Row {
    Row {
        title: "What was told",
        panels: vec![
            table("Events", "As the caller's stream has them.")
                .sql("SELECT seq, at, type, data::text AS data FROM job_events WHERE job_id = ${job:sqlstring}::bigint ORDER BY seq"),
            table("Changes by callers", "Who did what over HTTP.").sql(
                "SELECT at, key_id, method, path, request_id FROM audit WHERE path LIKE '/api/v3/jobs/' || ${job:sqlstring} || '%' ORDER BY id",
            ),
        ],
    }
}
