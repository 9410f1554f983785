-- Events that are written by one statement are told by one call: a creation of many jobs pays once for looking whether anybody listens.

DROP TRIGGER job_event_told ON job_events;
DROP FUNCTION job_event_told();

-- Tells the endpoints that want to know. Only what readers of a job care for is an event to them: its ends, its beginnings, and when its
-- stage changes. While nobody listens it costs a statement one look at an empty table.
CREATE FUNCTION job_events_told() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    this job_events; job jobs; before jsonb; what text; told boolean := false; endpoint uuid;
BEGIN
    IF NOT EXISTS (SELECT FROM hook_endpoints WHERE enabled) THEN
        RETURN NULL;
    END IF;
    FOR this IN SELECT * FROM new_events ORDER BY job_id, seq LOOP
        SELECT * INTO job FROM jobs WHERE id = this.job_id;
        what := NULL;
        IF this.type IN ('created', 'approved', 'completed', 'failed', 'canceled') THEN
            what := 'job.' || this.type;
        ELSIF this.data ? 'stage' THEN
            SELECT data INTO before FROM job_events
            WHERE job_id = this.job_id AND seq < this.seq AND data ? 'stage' ORDER BY seq DESC LIMIT 1;
            what := CASE
                WHEN before ->> 'state' IN ('completed', 'failed', 'canceled') AND job.state NOT IN ('completed', 'failed', 'canceled')
                    THEN 'job.reopened'
                WHEN before ->> 'stage' <> this.data ->> 'stage' THEN 'job.progress' END;
        END IF;
        FOR endpoint IN
            SELECT id FROM hook_endpoints
            WHERE what IS NOT NULL AND enabled AND (client_id IS NULL OR client_id = job.client_id)
              AND (events = '{}' OR what = ANY (events))
            ORDER BY id
        LOOP
            PERFORM hook_send(endpoint, what, this.at, this.job_id, this.seq, jsonb_build_object(
                'job_id', this.job_id, 'seq', this.seq, 'revision', job.revision, 'type', job.type, 'video_name', job.video_name,
                'client_id', job.client_id, 'campaign_id', job.campaign_id, 'status', job.state, 'current_stage', job.stage,
                'progress_percentage', job.progress_percent, 'partial', job.partial, 'error_code', job.error_code, 'error', job.error));
            told := told OR this.type <> 'created';
        END LOOP;
    END LOOP;
    -- The commit of a change notifies already (job_changed), so the bell costs nothing. That of a creation does not: polling finds its task.
    IF told THEN
        PERFORM queue.ring('hooks');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER job_events_told AFTER INSERT ON job_events REFERENCING NEW TABLE AS new_events
FOR EACH STATEMENT EXECUTE FUNCTION job_events_told();
