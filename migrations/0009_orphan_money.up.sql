-- What orphans cost all the same is money that the provider bills: reports show it beside the ledger, and the budgets for everything count it.

-- Booked when their end was seen. Whose work they were is what the row that they bear the mark of says, if it is there.
CREATE VIEW orphan_costs AS
SELECT o.ended_at AS at, o.prediction_id, p.job_id, j.client_id, j.campaign_id, o.model, o.cost_micros AS micros
FROM orphans o LEFT JOIN predictions p ON p.id = o.prediction_id LEFT JOIN jobs j ON j.id = p.job_id
WHERE o.done = 'canceled' AND o.cost_micros > 0;
CREATE INDEX orphans_cost ON orphans (ended_at) WHERE done = 'canceled' AND cost_micros > 0;

CREATE OR REPLACE VIEW spend_classes AS
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
       END AS class,
       false AS beside_ledger
FROM ledger l JOIN predictions p ON p.id = l.prediction_id JOIN jobs j ON j.id = p.job_id
WHERE l.kind = 'settle'
UNION ALL
SELECT NULL, at, prediction_id, job_id, client_id, campaign_id, model, micros, 'orphaned', true FROM orphan_costs;

-- Counts what was billed without a reservation in the present periods of the budgets for everything. It may pass their limits, as a
-- settlement may: it is spent already, and what comes after it must wait.
CREATE FUNCTION budget_bill(p_micros bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE budgets IN ROW SHARE MODE;
    INSERT INTO budget_periods (budget_id, starts_on, hard_micros)
    SELECT b.id, p.starts_on, b.hard_micros FROM budgets b, budget_period(b.period, b.zone, now()) p
    WHERE b.scope = 'all' ORDER BY b.id
    ON CONFLICT DO NOTHING;
    PERFORM FROM budget_periods bp JOIN budgets b ON b.id = bp.budget_id, budget_period(b.period, b.zone, now()) p
    WHERE b.scope = 'all' AND bp.starts_on = p.starts_on ORDER BY bp.budget_id FOR UPDATE OF bp;
    UPDATE budget_periods bp SET settled_micros = bp.settled_micros + p_micros
    FROM budgets b, budget_period(b.period, b.zone, now()) p
    WHERE b.scope = 'all' AND bp.budget_id = b.id AND bp.starts_on = p.starts_on;
END $$;

-- As before, and for everything what orphans cost.
CREATE OR REPLACE FUNCTION budget_begin(p_budget bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    b budgets; first_day date; orphaned bigint := 0;
BEGIN
    SELECT * INTO b FROM budgets WHERE id = p_budget;
    SELECT p.starts_on INTO first_day FROM budget_period(b.period, b.zone, now()) p;
    IF b.scope = 'all' THEN
        SELECT coalesce(sum(o.micros), 0) INTO orphaned FROM orphan_costs o
        WHERE first_day = '-infinity' OR o.at >= first_day::timestamp AT TIME ZONE b.zone;
    END IF;
    WITH counted AS (
        SELECT p.id, p.estimate_micros, p.cost_micros, p.state FROM predictions p JOIN jobs j ON j.id = p.job_id
        WHERE (first_day = '-infinity' OR p.intent_at >= first_day::timestamp AT TIME ZONE b.zone)
          AND CASE b.scope WHEN 'all' THEN true WHEN 'client' THEN j.client_id::text = b.scope_key
                           WHEN 'campaign' THEN j.campaign_id::text = b.scope_key ELSE j.id::text = b.scope_key END),
    period AS (
        INSERT INTO budget_periods (budget_id, starts_on, hard_micros, reserved_micros, settled_micros)
        SELECT b.id, first_day, b.hard_micros,
               coalesce(sum(c.estimate_micros) FILTER (WHERE c.state IN ('intent', 'submitted', 'unknown', 'in_doubt')), 0),
               coalesce(sum(c.cost_micros), 0) + orphaned
        FROM counted c
        RETURNING budget_id)
    INSERT INTO budget_holds (prediction_id, budget_id, starts_on, micros)
    SELECT c.id, period.budget_id, first_day, c.estimate_micros FROM counted c, period
    WHERE c.state IN ('intent', 'submitted', 'unknown', 'in_doubt');
END $$;
