-- What a caller orders again is no duplicate: a regenerated scene is a new version of it and wants another clip of the very same input.
-- Paid twice is a place of a job (a version of a scene, a stretch of music) that was filled before. Inputs are not compared: with a seed of
-- ours in them, two of one place differ.
CREATE OR REPLACE VIEW spend_classes AS
SELECT l.id AS ledger_id, l.at, l.prediction_id, l.job_id, l.client_id, l.campaign_id, l.model, l.micros,
       CASE
           WHEN p.state = 'canceled' THEN 'late_cancelled'
           WHEN p.state <> 'succeeded' THEN 'failed'
           -- Its place had been paid for, and that output was not lost. The index `predictions_live` forbids it; this is the second look.
           WHEN EXISTS (SELECT FROM predictions o WHERE o.job_id = p.job_id AND o.state = 'succeeded' AND o.cost_micros > 0
                        AND (o.output_lost_at IS NULL OR o.output_digest IS NOT NULL)
                        AND o.purpose = p.purpose AND o.scene_id IS NOT DISTINCT FROM p.scene_id
                        AND o.scene_version IS NOT DISTINCT FROM p.scene_version AND o.ordinal = p.ordinal
                        AND (o.intent_at, o.id) < (p.intent_at, p.id)) THEN 'duplicate'
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

-- Hours that were sorted by the old rule are sorted again.
DELETE FROM waste_hours;
