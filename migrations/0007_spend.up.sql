-- What was spent on what: prices fixed with the intent, learned costs, reports, waste, alerts, and new tries of what failed.

-- The price per unit on the day of the intent, by which it is settled too, and the price of what was ordered at that list price.
-- What is held (estimate_micros) may be more, where experience says so. Null: bought before this was kept.
ALTER TABLE predictions
    ADD COLUMN unit_micros bigint CHECK (unit_micros >= 0),
    ADD COLUMN list_micros bigint CHECK (list_micros >= 0),
    -- By how many thousandths the cost was off the list price, where that is more than a fifth.
    ADD COLUMN variance_permille integer,
    -- The job's revision that bought it: a new revision has all its tries again.
    ADD COLUMN job_revision integer NOT NULL DEFAULT 1;
-- What the last ones of a model cost, newest first.
CREATE INDEX predictions_settled ON predictions (model, unit, finished_at DESC) WHERE state = 'succeeded' AND cost_micros > 0;

-- What 95 of 100 purchases cost at most, in thousandths of their list price. Worked out anew while things are settled.
CREATE TABLE learned_costs (
    model        text NOT NULL,
    unit         text NOT NULL,
    p95_permille integer NOT NULL CHECK (p95_permille >= 0),
    samples      integer NOT NULL CHECK (samples >= 0),
    computed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model, unit)
);

-- So that reports read the ledger alone, in the order of time.
ALTER TABLE ledger ADD COLUMN campaign_id uuid, ADD COLUMN model text NOT NULL DEFAULT '';
UPDATE ledger l SET campaign_id = j.campaign_id, model = p.model FROM predictions p JOIN jobs j ON j.id = p.job_id WHERE p.id = l.prediction_id;
ALTER TABLE ledger ALTER COLUMN model DROP DEFAULT;
CREATE INDEX ledger_settled ON ledger (at) INCLUDE (micros, client_id, campaign_id, model) WHERE kind = 'settle';

-- The waste ledger: each settled amount is exactly one of these, by what has become of it until now. A clip of a failed job is
-- `failed` until a retry makes a video of it.
CREATE VIEW spend_classes AS
SELECT l.id AS ledger_id, l.at, l.prediction_id, l.job_id, l.client_id, l.campaign_id, l.model, l.micros,
       CASE
           WHEN p.state = 'canceled' THEN 'late_cancelled'
           WHEN p.state <> 'succeeded' THEN 'failed'
           -- The same job had bought the very same before.
           WHEN EXISTS (SELECT FROM predictions o WHERE o.job_id = p.job_id AND o.state = 'succeeded' AND o.cost_micros > 0
                        AND (o.output_lost_at IS NULL OR o.output_digest IS NOT NULL)
                        AND o.model = p.model AND o.input_digest = p.input_digest AND (o.intent_at, o.id) < (p.intent_at, p.id)) THEN 'duplicate'
           WHEN j.state = 'canceled' THEN 'late_cancelled'
           -- Its scene is gone or wants something else now.
           WHEN p.purpose = 'render' AND NOT EXISTS (SELECT FROM scenes s WHERE s.id = p.scene_id AND s.version = p.scene_version) THEN 'orphaned'
           -- Paid but lost.
           WHEN p.output_digest IS NULL AND j.state IN ('completed', 'failed') THEN 'orphaned'
           WHEN j.state = 'failed' THEN 'failed'
           ELSE 'useful'
       END AS class
FROM ledger l JOIN predictions p ON p.id = l.prediction_id JOIN jobs j ON j.id = p.job_id
WHERE l.kind = 'settle';

-- Soft limits that were passed: one row per budget and period, for the whole fleet.
CREATE TABLE budget_alerts (
    budget_id    bigint NOT NULL,
    starts_on    date   NOT NULL,
    soft_micros  bigint NOT NULL,
    -- Reserved and settled when it was passed.
    spent_micros bigint NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (budget_id, starts_on),
    -- To the row that whoever spends has locked already; one to the budget would be a second lock, in the wrong order.
    FOREIGN KEY (budget_id, starts_on) REFERENCES budget_periods (budget_id, starts_on) ON DELETE CASCADE
);
CREATE FUNCTION budget_passes_soft() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO budget_alerts (budget_id, starts_on, soft_micros, spent_micros)
    SELECT b.id, NEW.starts_on, b.soft_micros, NEW.reserved_micros + NEW.settled_micros
    FROM budgets b WHERE b.id = NEW.budget_id AND NEW.reserved_micros + NEW.settled_micros > b.soft_micros
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER budget_passes_soft AFTER UPDATE OF reserved_micros, settled_micros ON budget_periods FOR EACH ROW
    WHEN (NEW.reserved_micros + NEW.settled_micros > OLD.reserved_micros + OLD.settled_micros) EXECUTE FUNCTION budget_passes_soft();
-- A new budget counts what its period has seen.
CREATE TRIGGER budget_begins_above_soft AFTER INSERT ON budget_periods FOR EACH ROW
    WHEN (NEW.reserved_micros + NEW.settled_micros > 0) EXECUTE FUNCTION budget_passes_soft();

-- Jobs to try again: those that ended without a video, newest first.
CREATE INDEX jobs_dead ON jobs (state, finished_at DESC) WHERE state IN ('failed', 'canceled');
