-- What was spent in each of the last hours by what it was good for. To sort a day of 11,000 purchases takes 100 ms, and what becomes of
-- an older one changes seldom: so watchers sort this hour, and the others in turns. Worth nothing after a crash: a missing hour is made again.
CREATE UNLOGGED TABLE waste_hours (
    hour      timestamptz PRIMARY KEY,
    looked_at timestamptz NOT NULL,
    -- Micro-dollars by class.
    classes   jsonb       NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
