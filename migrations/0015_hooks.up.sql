-- Webhooks to callers: who is told of what, what they are told, and every try to tell them.

CREATE TABLE hook_endpoints (
    id            uuid PRIMARY KEY,
    -- Whose events it gets; null: those of everybody.
    client_id     uuid REFERENCES clients (id) ON DELETE CASCADE,
    url           text NOT NULL CHECK (char_length(url) BETWEEN 1 AND 2048),
    description   text,
    -- Kinds of events; none: all of them.
    events        text[] NOT NULL DEFAULT '{}',
    enabled       boolean NOT NULL DEFAULT true,
    disabled_at   timestamptz,
    -- A caller asked for it, it answered 410, or nothing has reached it for long.
    disabled_why  text CHECK (disabled_why IN ('asked', 'gone', 'failing')),
    -- The first failed try since one got through.
    failing_since timestamptz,
    -- No secret is stored: it is made from the salt and the signing key of the programs. The digest shows whether that is still the key
    -- that it was made with.
    secret_salt   bytea NOT NULL CHECK (octet_length(secret_salt) = 32),
    secret_digest bytea NOT NULL CHECK (octet_length(secret_digest) = 32),
    -- The secret before, which signs beside it for a while.
    former_salt   bytea CHECK (octet_length(former_salt) = 32),
    former_digest bytea CHECK (octet_length(former_digest) = 32),
    former_until  timestamptz,
    created_by    text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    CHECK (enabled = (disabled_at IS NULL) AND enabled = (disabled_why IS NULL)),
    CHECK ((former_salt IS NULL) = (former_digest IS NULL) AND (former_salt IS NULL) = (former_until IS NULL))
);
CREATE INDEX hook_endpoints_by_client ON hook_endpoints (client_id, created_at DESC, id);

-- One event for one endpoint, written in the transaction of the change that it tells of. No foreign key leads to the endpoint: no job
-- waits for somebody who deletes one, and none fails because of it. What is left of a deleted endpoint is swept.
CREATE TABLE hook_deliveries (
    -- Sent as webhook-id, the same in every try.
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    -- Its place in lists.
    place       bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    endpoint_id uuid NOT NULL,
    event       text NOT NULL,
    -- The event of the job that it tells of.
    job_id      bigint,
    seq         bigint,
    payload     jsonb NOT NULL CHECK (jsonb_typeof(payload) = 'object'),
    state       text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
    -- All tries, and the failed ones since it was last sent on its way.
    attempts    integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    tries       integer NOT NULL DEFAULT 0 CHECK (tries >= 0),
    next_at     timestamptz DEFAULT now(),
    -- Of the last try.
    status      integer,
    error       text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    ended_at    timestamptz,
    CHECK ((job_id IS NULL) = (seq IS NULL)),
    CHECK ((state = 'pending') = (ended_at IS NULL) AND (state = 'pending') = (next_at IS NOT NULL))
) WITH (fillfactor = 80);
-- An endpoint hears of an event once.
CREATE UNIQUE INDEX hook_deliveries_once ON hook_deliveries (job_id, seq, endpoint_id);
CREATE INDEX hook_deliveries_by_endpoint ON hook_deliveries (endpoint_id, place DESC);
CREATE INDEX hook_deliveries_pending ON hook_deliveries (place) WHERE state = 'pending';
CREATE INDEX hook_deliveries_ended ON hook_deliveries (ended_at) WHERE state <> 'pending';

-- One row per try, written before a byte goes out.
CREATE TABLE hook_attempts (
    delivery_id uuid NOT NULL REFERENCES hook_deliveries (id) ON DELETE CASCADE,
    number      integer NOT NULL CHECK (number > 0),
    -- The run of the task that makes it.
    lease_token bigint NOT NULL,
    begun_at    timestamptz NOT NULL DEFAULT now(),
    -- Null: it is under way.
    ended_at    timestamptz,
    status      integer,
    latency_ms  integer CHECK (latency_ms >= 0),
    error       text,
    -- The first bytes of what the endpoint said.
    answer      text,
    PRIMARY KEY (delivery_id, number)
);

-- Writes a delivery and the task that sends it, in the caller's transaction. The task's kind, queue and payload are those of
-- spool_job::tasks; only one at a time is there for a delivery.
CREATE FUNCTION hook_send(p_endpoint uuid, p_event text, p_at timestamptz, p_job bigint, p_seq bigint, p_data jsonb)
RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    delivery uuid := gen_random_uuid();
BEGIN
    INSERT INTO hook_deliveries (id, endpoint_id, event, job_id, seq, payload)
    VALUES (delivery, p_endpoint, p_event, p_job, p_seq, jsonb_build_object('type', p_event,
        'timestamp', to_char(p_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'data', p_data));
    PERFORM queue.enqueue(kind => 'deliver', queue => 'hooks', payload => json_build_object('delivery_id', delivery),
        unique_key => delivery::text, group_key => 'hook/' || p_endpoint, share_key => p_endpoint::text);
    RETURN delivery;
END $$;

-- Tells the endpoints that want to know. Only what readers of a job care for is an event to them: its ends, its beginnings, and when its
-- stage changes. While nobody listens it costs one look at an empty table.
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
