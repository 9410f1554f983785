DROP TRIGGER job_event_told ON job_events;
DROP FUNCTION job_event_told(), hook_send(uuid, text, timestamptz, bigint, bigint, jsonb);
DROP TABLE hook_attempts, hook_deliveries, hook_endpoints;
