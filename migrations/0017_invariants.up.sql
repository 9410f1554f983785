-- What must always hold is looked at once a minute for the whole fleet: all of what is under way, and a part of the past. Who looks locks the
-- row, and leaves in it what was found and where the next round goes on.
CREATE TABLE invariants (
    single   boolean          PRIMARY KEY DEFAULT true CHECK (single),
    -- When the last round began.
    at       timestamptz      NOT NULL DEFAULT '-infinity',
    -- How long it took.
    cost_ms  double precision NOT NULL DEFAULT 0,
    -- By invariant, the rows that broke it; at most a thousand of each.
    found    jsonb            NOT NULL DEFAULT '{}',
    place    jsonb            NOT NULL DEFAULT '{}',
    -- What the budgets must have settled before a moment that is over for good: only what came later is summed up each time.
    bases    jsonb            NOT NULL DEFAULT '[]'
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
INSERT INTO invariants DEFAULT VALUES;

-- Whether webhooks arrive at all is asked of the newest ones.
CREATE INDEX webhook_deliveries_newest ON webhook_deliveries (received_at);
