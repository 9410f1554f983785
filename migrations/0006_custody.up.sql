-- Paid once: outputs that are used again, outputs that wait to be fetched, jobs that are called off, and predictions nobody ordered.

ALTER TABLE predictions
    -- The same for the same order (provider, model, version, input), whatever seed we added and whichever links served its media.
    ADD COLUMN memo_key text CHECK (memo_key ~ '^[0-9a-f]{64}$'),
    -- Nothing was bought: the output is the one of this earlier purchase.
    ADD COLUMN reused_from uuid REFERENCES predictions (id),
    -- When the provider deletes the output.
    ADD COLUMN output_gone_at timestamptz,
    -- Paid for, and gone before it was stored.
    ADD COLUMN output_lost_at timestamptz,
    -- What an operator says it is called at the provider; a worker checks it.
    ADD COLUMN claimed_external_id text,
    ADD COLUMN claimed_by text;
UPDATE predictions SET output_gone_at = finished_at + interval '1 hour' WHERE state = 'succeeded';

ALTER TABLE predictions DROP CONSTRAINT predictions_check1;
ALTER TABLE predictions ADD CONSTRAINT predictions_known CHECK
    (external_id IS NOT NULL OR reused_from IS NOT NULL OR state IN ('intent', 'unknown', 'refused', 'void', 'in_doubt'));
ALTER TABLE predictions ADD CONSTRAINT predictions_reused CHECK
    (reused_from IS NULL OR (state = 'succeeded' AND external_id IS NULL AND output_digest IS NOT NULL
                             AND estimate_micros = 0 AND cost_micros = 0));

-- Lost music leaves its place to another purchase; a lost clip's scene gets a new version instead.
DROP INDEX predictions_live;
CREATE UNIQUE INDEX predictions_live ON predictions
    (job_id, purpose, COALESCE(scene_id, '00000000-0000-0000-0000-000000000000'::uuid), COALESCE(scene_version, 0), ordinal)
    WHERE state IN ('intent', 'submitted', 'unknown', 'in_doubt', 'succeeded') AND NOT (purpose = 'music' AND output_lost_at IS NOT NULL);

CREATE INDEX predictions_memo ON predictions (memo_key, finished_at DESC)
    WHERE state = 'succeeded' AND output_digest IS NOT NULL AND reused_from IS NULL;
CREATE INDEX predictions_uncollected ON predictions (output_gone_at) WHERE state = 'succeeded' AND output_digest IS NULL;

-- Somebody called the job off; it is over once nothing of it holds money.
ALTER TABLE jobs ADD COLUMN cancel_requested_at timestamptz, ADD COLUMN cancel_requested_by text;

-- Predictions at a provider that bear our mark and that no row knows.
CREATE TABLE orphans (
    provider      text NOT NULL,
    external_id   text NOT NULL,
    model         text NOT NULL,
    -- The prediction whose mark it bears, and where its row stood; there may be none.
    prediction_id uuid NOT NULL,
    row_state     text,
    -- Given to the row that was looking for it, or called off because no row wants it.
    done          text NOT NULL CHECK (done IN ('adopted', 'canceled')),
    -- When it was made, by the provider's clock.
    created_at    timestamptz NOT NULL,
    found_at      timestamptz NOT NULL DEFAULT now(),
    -- How it ended, once it has. What it cost is not in the ledger unless it was adopted: nothing was reserved for it.
    state         text CHECK (state IN ('succeeded', 'failed', 'canceled', 'aborted')),
    cost_micros   bigint CHECK (cost_micros >= 0),
    ended_at      timestamptz,
    PRIMARY KEY (provider, external_id),
    CHECK ((state IS NULL) = (ended_at IS NULL))
);
CREATE INDEX orphans_open ON orphans (found_at) WHERE done = 'canceled' AND ended_at IS NULL;
CREATE INDEX orphans_newest ON orphans (found_at DESC);
