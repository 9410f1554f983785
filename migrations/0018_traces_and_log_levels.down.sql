DROP TABLE log_levels;
ALTER TABLE jobs
    DROP COLUMN trace_parent,
    DROP COLUMN request_id;
