DROP TRIGGER job_events_told ON job_events;
DROP FUNCTION job_events_told();

CREATE FUNCTION job_event_told() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    job jobs; before jsonb; what text; told boolean := false; endpoint uuid;
BEGIN
    IF NOT EXISTS (SELECT FROM hook_endpoints WHERE enabled) THEN
        RETURN NULL;
    END IF;
    SELECT * INTO job FROM jobs WHERE id = NEW.job_id;
    IF NEW.type IN ('created', 'approved', 'completed', 'failed', 'canceled') THEN
        what := 'job.' || NEW.type;
    ELSIF NEW.data ? 'stage' THEN
        SELECT data INTO before FROM job_events
        WHERE job_id = NEW.job_id AND seq < NEW.seq AND data ? 'stage' ORDER BY seq DESC LIMIT 1;
        what := CASE
            WHEN before ->> 'state' IN ('completed', 'failed', 'canceled') AND job.state NOT IN ('completed', 'failed', 'canceled') THEN 'job.reopened'
            WHEN before ->> 'stage' <> NEW.data ->> 'stage' THEN 'job.progress' END;
    END IF;
    IF what IS NULL THEN
        RETURN NULL;
    END IF;
    FOR endpoint IN
        SELECT id FROM hook_endpoints
        WHERE enabled AND (client_id IS NULL OR client_id = job.client_id) AND (events = '{}' OR what = ANY (events))
        ORDER BY id
    LOOP
        PERFORM hook_send(endpoint, what, NEW.at, NEW.job_id, NEW.seq, jsonb_build_object(
            'job_id', NEW.job_id, 'seq', NEW.seq, 'revision', job.revision, 'type', job.type, 'video_name', job.video_name,
            'client_id', job.client_id, 'campaign_id', job.campaign_id, 'status', job.state, 'current_stage', job.stage,
            'progress_percentage', job.progress_percent, 'partial', job.partial, 'error_code', job.error_code, 'error', job.error));
        told := true;
    END LOOP;
    -- The commit of a change notifies already (job_changed), so the bell costs nothing. That of a creation does not: polling finds its task.
    IF told AND NEW.type <> 'created' THEN
        PERFORM queue.ring('hooks');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER job_event_told AFTER INSERT ON job_events FOR EACH ROW EXECUTE FUNCTION job_event_told();
