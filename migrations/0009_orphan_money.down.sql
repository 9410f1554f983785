-- Budgets keep what they have counted.
CREATE OR REPLACE FUNCTION budget_begin(p_budget bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    b budgets; first_day date;
BEGIN
    SELECT * INTO b FROM budgets WHERE id = p_budget;
    SELECT p.starts_on INTO first_day FROM budget_period(b.period, b.zone, now()) p;
    WITH counted AS (
        SELECT p.id, p.estimate_micros, p.cost_micros, p.state FROM predictions p JOIN jobs j ON j.id = p.job_id
        WHERE (first_day = '-infinity' OR p.intent_at >= first_day::timestamp AT TIME ZONE b.zone)
          AND CASE b.scope WHEN 'all' THEN true WHEN 'client' THEN j.client_id::text = b.scope_key
                           WHEN 'campaign' THEN j.campaign_id::text = b.scope_key ELSE j.id::text = b.scope_key END),
    period AS (
        INSERT INTO budget_periods (budget_id, starts_on, hard_micros, reserved_micros, settled_micros)
        SELECT b.id, first_day, b.hard_micros,
               coalesce(sum(c.estimate_micros) FILTER (WHERE c.state IN ('intent', 'submitted', 'unknown', 'in_doubt')), 0),
               coalesce(sum(c.cost_micros), 0)
        FROM counted c
        RETURNING budget_id)
    INSERT INTO budget_holds (prediction_id, budget_id, starts_on, micros)
    SELECT c.id, period.budget_id, first_day, c.estimate_micros FROM counted c, period
    WHERE c.state IN ('intent', 'submitted', 'unknown', 'in_doubt');
END $$;
DROP FUNCTION budget_bill(bigint);
DROP VIEW spend_classes;
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
DROP INDEX orphans_cost;
DROP VIEW orphan_costs;
