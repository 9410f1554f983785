-- Jobs that come together are created by one statement, idempotency keys and answers included: so the key's verdict is said here and not
-- by each program. The function of two arguments stays for programs of the version before.

-- Enters a key until the end of the transaction and says what it was used for in the last day: 'free' (by nobody, or by this very request),
-- 'busy', 'other' (another question) or 'answered', with the answer. Two statements, each with a snapshot of its own: what the one who
-- was in before has committed is seen.
CREATE FUNCTION idempotency_enter(p_api_key text, p_key text, p_request uuid, p_digest text,
    OUT entry text, OUT status smallint, OUT content_type text, OUT location text, OUT body bytea)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    entered boolean; earlier idempotency_keys;
BEGIN
    entered := pg_try_advisory_xact_lock(hashtextextended(p_api_key || E'\n' || p_key, 5));
    SELECT * INTO earlier FROM idempotency_keys k
    WHERE k.api_key = p_api_key AND k.key = p_key AND k.created_at > now() - interval '24 hours';
    entry := CASE
        WHEN earlier.key IS NULL AND entered THEN 'free'
        WHEN earlier.request = p_request AND earlier.status IS NULL THEN 'free'
        WHEN earlier.digest <> p_digest THEN 'other'
        WHEN earlier.status IS NULL THEN 'busy'
        ELSE 'answered' END;
    IF entry = 'answered' THEN
        status := earlier.status; content_type := earlier.content_type; location := earlier.location; body := earlier.body;
    END IF;
END $$;
