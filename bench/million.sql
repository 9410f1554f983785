-- A past of one million finished jobs over 90 days, each with one scene, one clip that was bought, and its books; and a million tasks in the
-- queue's history. For a fresh database of ours. Takes some minutes and three gigabytes.
\set ON_ERROR_STOP on
-- No triggers and no foreign keys: the rows are as they would be at the end.
SET session_replication_role = replica;
SET synchronous_commit = off;
BEGIN;
CREATE TEMP TABLE past ON COMMIT DROP AS
    SELECT n, encode(sha256(n::text::bytea), 'hex') AS digest, (lpad(to_hex(n), 8, '0') || '-0000-7000-8000-000000000000')::uuid AS id,
           now() - interval '90 days' * (1 - n / 1e6) AS at
    FROM generate_series(1, 1000000) n;
INSERT INTO media (digest, bytes, content_type, created_at) SELECT digest, 1000000, 'video/mp4', at FROM past;
INSERT INTO jobs (id, type, state, video_name, spec, estimate, estimate_micros, progress_percent, stage, video_digest, inserted_at, updated_at, approved_at, finished_at)
    SELECT n, 'image_pairs', 'completed', 'Video', '{}', '{}', 400000, 100, 'completed', digest, at, at, at, at FROM past;
INSERT INTO scenes (id, job_id, index, title, prompt, duration_ms, first_asset_id, state, clip_digest)
    SELECT id, n, 0, 'A room', 'A room', 4000, id, 'completed', digest FROM past;
INSERT INTO predictions (id, job_id, purpose, scene_id, scene_version, attempt, task_id, lease_token, provider, model, input, input_digest, state, external_id,
                         output_digest, units, unit, estimate_micros, cost_micros, unit_micros, list_micros, intent_at, submitted_at, finished_at, memo_key)
    SELECT id, n, 'render', id, 1, 1, n, n, 'replicate', 'google/veo-3.1-fast', '{"prompt": "A room"}', digest, 'succeeded', 'p' || n,
           digest, 4, 'second', 400000, 400000, 100000, 400000, at, at, at, digest FROM past;
INSERT INTO ledger (at, prediction_id, job_id, kind, micros, model)
    SELECT at, id, n, kind, 400000, 'google/veo-3.1-fast' FROM past, unnest(ARRAY['reserve', 'settle']) kind ORDER BY n;
INSERT INTO queue.task_history (id, finished_at, created_at, run_at, started_at, lease_token, worker_id, parks, state, priority, version, attempt, queue, kind, payload)
    SELECT nextval('queue.task_id'), now(), now(), now(), now(), n, 1, 0, 5, 0, 1, 1, 'predict', 'render', '{"job_id": 1}' FROM past;
UPDATE media_totals SET files = files + 1000000, bytes = bytes + 1000000000000 WHERE type = 'video';
SELECT setval(pg_get_serial_sequence('jobs', 'id'), 1000001);
-- The budgets count what their present period has seen.
UPDATE budgets SET soft_micros = NULL, hard_micros = NULL;
DELETE FROM budget_periods;
SELECT budget_begin(id) FROM budgets;
COMMIT;
VACUUM ANALYZE;
CHECKPOINT;
