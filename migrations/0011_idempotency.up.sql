-- Requests that may be sent again: what each key was used for, and what it was answered.

CREATE TABLE idempotency_keys (
    -- The API key that the request came with: the same word of two callers is two keys.
    api_key      text        NOT NULL,
    key          text        NOT NULL CHECK (char_length(key) BETWEEN 1 AND 255),
    -- The request that wrote the row.
    request      uuid        NOT NULL,
    -- SHA-256 of what was asked.
    digest       text        NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    -- Null: it has changed something and not been answered yet, or it was cut off in between.
    status       smallint    CHECK (status BETWEEN 100 AND 599),
    content_type text,
    location     text,
    -- Null although it was answered: the answer held a secret.
    body         bytea,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (api_key, key),
    CHECK (body IS NULL OR status IS NOT NULL)
);
CREATE INDEX idempotency_keys_oldest ON idempotency_keys (created_at);

-- Enters a key until the end of the transaction and reads what it was used for in the last day. Two statements, each with a snapshot
-- of its own: what the one who was in before has committed is seen.
CREATE FUNCTION idempotency_enter(p_api_key text, p_key text,
    OUT entered boolean, OUT request uuid, OUT digest text, OUT status smallint, OUT content_type text, OUT location text, OUT body bytea)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    entered := pg_try_advisory_xact_lock(hashtextextended(p_api_key || E'\n' || p_key, 5));
    SELECT k.request, k.digest, k.status, k.content_type, k.location, k.body
    INTO request, digest, status, content_type, location, body
    FROM idempotency_keys k
    WHERE k.api_key = p_api_key AND k.key = p_key AND k.created_at > now() - interval '24 hours';
END $$;
