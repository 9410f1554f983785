-- What may be asked of a provider: how often, how much at once, and whether at all. Only the database's clock counts.

DROP TABLE provider_limits;

CREATE TABLE provider_limits (
    provider              text NOT NULL,
    -- `create` starts predictions, `other` reads, lists and cancels.
    class                 text NOT NULL CHECK (class IN ('create', 'other')),
    -- A model slug, or '*' for the whole account. The whole account's row of `create` is the lock of its line.
    model                 text NOT NULL,
    -- What an operator has set; null: what the workers' settings say.
    per_minute            integer CHECK (per_minute > 0),
    max_in_flight         integer CHECK (max_in_flight >= 0),
    default_per_minute    integer CHECK (default_per_minute > 0),
    default_max_in_flight integer CHECK (default_max_in_flight >= 0),
    -- Two starts are at least so far apart.
    gap_ms                integer NOT NULL DEFAULT 0 CHECK (gap_ms >= 0),
    -- Theoretical arrival time of the next call (GCRA).
    next_at               timestamptz NOT NULL DEFAULT '-infinity',
    paused_until          timestamptz,
    pause_reason          text,
    -- What the provider lowered the rate to, and for how long that is believed.
    lowered_per_minute    integer CHECK (lowered_per_minute > 0),
    lowered_until         timestamptz,
    -- After trouble: so many in flight at `cut_at`, and `grow_per_minute` more each minute.
    cut_to                integer CHECK (cut_to > 0),
    cut_at                timestamptz,
    grow_per_minute       integer,
    -- How far the service of the shares has come, in turns per weight (start-time fair queueing).
    virtual_time          double precision NOT NULL DEFAULT 0,
    PRIMARY KEY (provider, class, model),
    CHECK ((paused_until IS NULL) = (pause_reason IS NULL)),
    CHECK ((cut_to IS NULL) = (cut_at IS NULL) AND (cut_to IS NULL) = (grow_per_minute IS NULL)),
    CHECK ((lowered_per_minute IS NULL) = (lowered_until IS NULL))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
INSERT INTO provider_limits (provider, class, model, default_per_minute) VALUES
    ('replicate', 'create', '*', 600), ('replicate', 'other', '*', 3000);

-- Tasks that wait for a provider. With `turn_at` the task has a turn: it may start then, and not after `turn_ends`.
-- No foreign key to jobs: whoever gives turns writes rows of many jobs, and its checks would lock those jobs after the limits.
CREATE TABLE limit_waits (
    task_id     bigint      PRIMARY KEY,
    job_id      bigint      NOT NULL,
    provider    text        NOT NULL,
    model       text        NOT NULL,
    -- Whose work it is; '' is nobody's.
    share       text        NOT NULL,
    cost_micros bigint      NOT NULL,
    since       timestamptz NOT NULL DEFAULT now(),
    turn_at     timestamptz,
    turn_ends   timestamptz,
    -- Turns in a row that it did not use: what is gone does not hold up the others for ever.
    missed      integer     NOT NULL DEFAULT 0,
    CHECK ((turn_at IS NULL) = (turn_ends IS NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX limit_waits_line ON limit_waits (provider, share, model, since, task_id) WHERE turn_at IS NULL;
CREATE INDEX limit_waits_turns ON limit_waits (provider, model) WHERE turn_at IS NOT NULL;
CREATE INDEX limit_waits_job ON limit_waits (job_id);

-- What each share has had, in turns per weight. A row that says nothing and lies behind the virtual time is as good as none.
CREATE TABLE limit_shares (
    provider text             NOT NULL,
    share    text             NOT NULL,
    weight   double precision NOT NULL DEFAULT 1 CHECK (weight > 0),
    served   double precision NOT NULL DEFAULT 0,
    PRIMARY KEY (provider, share)
) WITH (fillfactor = 50);

-- Open while `open_until` is set; half open once it has passed: then one probe at a time may go.
CREATE TABLE breakers (
    provider    text        NOT NULL,
    -- A model slug, or '*' for the provider as such.
    model       text        NOT NULL,
    open_until  timestamptz,
    opened_at   timestamptz,
    -- `call` (its API fails), `run` (its predictions fail), `account` (no credit, bad token) or `operator`.
    opened_by   text        CHECK (opened_by IN ('call', 'run', 'account', 'operator')),
    why         text,
    -- How long it stays open before the next probe; doubled by each probe that fails.
    open_for_s  integer     NOT NULL DEFAULT 0,
    probe_task  bigint,
    probe_until timestamptz,
    -- Outcomes from before this do not count.
    counts_from timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (provider, model),
    CHECK ((open_until IS NULL) = (opened_at IS NULL) AND (open_until IS NULL) = (opened_by IS NULL) AND (open_until IS NULL) = (why IS NULL))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- What came of calls and runs, in buckets of five seconds.
CREATE TABLE breaker_outcomes (
    provider text        NOT NULL,
    model    text        NOT NULL,
    kind     text        NOT NULL CHECK (kind IN ('call', 'run')),
    bucket   timestamptz NOT NULL,
    ok       integer     NOT NULL DEFAULT 0,
    failed   integer     NOT NULL DEFAULT 0,
    PRIMARY KEY (provider, model, kind, bucket)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- What is in flight is counted, not kept: whatever dies, the number is right.
CREATE INDEX predictions_in_flight ON predictions (provider, model) WHERE state IN ('intent', 'submitted', 'unknown');
