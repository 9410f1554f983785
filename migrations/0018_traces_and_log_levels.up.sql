-- Which request a job's tasks were last enqueued for, and which log lines the processes write.

ALTER TABLE jobs
    ADD COLUMN request_id   text,
    -- W3C `traceparent` of the span under which the work for it belongs; null where traces were off.
    ADD COLUMN trace_parent text CHECK (char_length(trace_parent) <= 64);

-- An operator's word on what a program logs, until its time is over. Every process looks at its own row.
CREATE TABLE log_levels (
    program    text PRIMARY KEY CHECK (program IN ('api', 'worker')),
    filter     text NOT NULL CHECK (char_length(filter) BETWEEN 1 AND 500),
    expires_at timestamptz NOT NULL,
    set_by     text NOT NULL,
    set_at     timestamptz NOT NULL DEFAULT now()
);
