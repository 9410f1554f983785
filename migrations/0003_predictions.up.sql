-- Paid calls and the money they cost. A row stands before a byte goes out.

CREATE TABLE predictions (
    id              uuid PRIMARY KEY,
    job_id          bigint NOT NULL REFERENCES jobs (id),
    purpose         text NOT NULL CHECK (purpose IN ('render', 'music', 'image', 'voice', 'plan')),
    scene_id        uuid,
    scene_version   integer,
    ordinal         integer NOT NULL DEFAULT 0,
    -- Which try of this purpose it is; a refused or void one was never bought.
    attempt         integer NOT NULL CHECK (attempt > 0),
    -- The queue task that owns it and the lease that wrote the intent: only that run may POST.
    task_id         bigint NOT NULL,
    lease_token     bigint NOT NULL,
    provider        text NOT NULL,
    model           text NOT NULL,
    input           jsonb NOT NULL,
    input_digest    text NOT NULL CHECK (input_digest ~ '^[0-9a-f]{64}$'),
    -- Input name -> digest of the bytes it serves, behind a signed link of this prediction.
    media           jsonb NOT NULL DEFAULT '{}',
    state           text NOT NULL CHECK (state IN
                    ('intent', 'submitted', 'refused', 'unknown', 'void', 'in_doubt',
                     'succeeded', 'failed', 'canceled', 'aborted')),
    external_id     text,
    output_url      text,
    output_digest   text REFERENCES media (digest),
    -- What the provider says it produced, in the unit it bills.
    units           double precision,
    unit            text NOT NULL,
    estimate_micros bigint NOT NULL CHECK (estimate_micros >= 0),
    cost_micros     bigint CHECK (cost_micros >= 0),
    error_class     text,
    error           text,
    intent_at       timestamptz NOT NULL DEFAULT now(),
    unknown_at      timestamptz,
    -- Complete list scans that did not find it; two, far enough apart, make it void.
    empty_scans     integer NOT NULL DEFAULT 0,
    scanned_at      timestamptz,
    adopted_at      timestamptz,
    submitted_at    timestamptz,
    finished_at     timestamptz,
    polls           integer NOT NULL DEFAULT 0,
    CHECK ((purpose = 'render') = (scene_id IS NOT NULL AND scene_version IS NOT NULL)),
    CHECK (external_id IS NOT NULL OR state IN ('intent', 'unknown', 'refused', 'void', 'in_doubt')),
    CHECK (cost_micros IS NOT NULL OR state NOT IN ('succeeded', 'failed', 'canceled', 'aborted'))
) WITH (fillfactor = 80);
-- A paid call happens once: one live or successful prediction per purpose, scene version and ordinal.
CREATE UNIQUE INDEX predictions_live ON predictions
    (job_id, purpose, COALESCE(scene_id, '00000000-0000-0000-0000-000000000000'::uuid), COALESCE(scene_version, 0), ordinal)
    WHERE state IN ('intent', 'submitted', 'unknown', 'in_doubt', 'succeeded');
CREATE UNIQUE INDEX predictions_external ON predictions (provider, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX predictions_by_job ON predictions (job_id, intent_at);
CREATE INDEX predictions_open ON predictions (state, intent_at) WHERE state IN ('intent', 'submitted', 'unknown', 'in_doubt');

-- Append-only: the sum of a prediction's rows is what it holds or cost.
CREATE TABLE ledger (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at            timestamptz NOT NULL DEFAULT now(),
    prediction_id uuid NOT NULL REFERENCES predictions (id),
    job_id        bigint NOT NULL,
    client_id     uuid,
    kind          text NOT NULL CHECK (kind IN ('reserve', 'settle', 'release')),
    micros        bigint NOT NULL CHECK (micros >= 0)
);
-- Each prediction reserves once and settles or releases at most once.
CREATE UNIQUE INDEX ledger_once ON ledger (prediction_id, (kind = 'reserve'));
CREATE INDEX ledger_by_job ON ledger (job_id);
CREATE INDEX ledger_by_time ON ledger (at);

-- Signals that arrived; the id is the sender's, so a repeated one is seen.
CREATE TABLE webhook_deliveries (
    provider      text NOT NULL,
    id            text NOT NULL,
    prediction_id uuid,
    received_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (provider, id)
);

-- What a provider told one worker binds them all.
CREATE TABLE provider_limits (
    provider     text NOT NULL,
    -- A model slug, or '*' for the whole account.
    model        text NOT NULL,
    paused_until timestamptz NOT NULL,
    reason       text NOT NULL,
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (provider, model)
);
