-- Who may do what over HTTP, how often, and what was changed by whom.

-- A key of one client never administers all of them.
UPDATE api_keys SET scopes = '{write}' WHERE client_id IS NOT NULL AND 'admin' = ANY (scopes);
ALTER TABLE api_keys
    -- Requests a minute that each API process takes of it; null: what its settings say.
    ADD COLUMN requests_per_minute integer CHECK (requests_per_minute > 0),
    -- The keys that made and revoked it; null: a command line, or nobody.
    ADD COLUMN created_by text,
    ADD COLUMN revoked_by text,
    ADD CONSTRAINT api_keys_bound CHECK (client_id IS NULL OR NOT 'admin' = ANY (scopes));
CREATE INDEX api_keys_newest ON api_keys (created_at DESC, id);

-- One row per request that changed something, in the transaction of the change. It holds no value of a body and no query string.
CREATE TABLE audit (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT now(),
    -- No foreign keys: what was done outlives who did it and whom it was done to.
    key_id     text NOT NULL,
    client_id  uuid,
    request_id text NOT NULL,
    method     text NOT NULL,
    -- The pattern, such as /api/v3/jobs/{id}/approve, and the path as it was asked for.
    route      text NOT NULL,
    path       text NOT NULL,
    -- Ids of what was made, and names of what was changed.
    about      jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(about) = 'object')
);
CREATE INDEX audit_by_key ON audit (key_id, id);

-- What a client or a campaign has cost, from the ledger alone.
CREATE INDEX ledger_by_client ON ledger (client_id) INCLUDE (micros) WHERE kind = 'settle';
CREATE INDEX ledger_by_campaign ON ledger (campaign_id) INCLUDE (micros) WHERE kind = 'settle';
