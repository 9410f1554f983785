-- Jobs that come together are created by one statement, idempotency keys and answers included: so the keys' verdict is said here and not
-- by each program. The function of two arguments stays for programs of the version before.

-- Enters keys until the end of the transaction and says of each what it was used for in the last day: 'free' (by nobody, or by this very
-- request), 'busy', 'other' (another question) or 'answered', and what it was answered. Places count from 1; where there is no key nothing is said.
-- Two statements, each with a snapshot of its own: what the one who was in before has committed is seen.
CREATE FUNCTION idempotency_enter(p_api_keys text[], p_keys text[], p_requests uuid[], p_digests text[])
RETURNS TABLE (place bigint, entry text, status smallint, content_type text, location text, body bytea)
LANGUAGE plpgsql VOLATILE ROWS 16 AS $$
DECLARE
    entered boolean[];
BEGIN
    entered := ARRAY(
        SELECT pg_try_advisory_xact_lock(hashtextextended(a.api_key || E'\n' || a.key, 5))
        FROM unnest(p_api_keys, p_keys) WITH ORDINALITY AS a (api_key, key, place) ORDER BY a.place);
    RETURN QUERY
    SELECT a.place,
           CASE
               -- Of two with the same key the second is too early: the lock is the transaction's, and does not tell them apart.
               WHEN earlier.key IS NULL AND a.entered AND row_number() OVER (PARTITION BY a.api_key, a.key ORDER BY a.place) = 1 THEN 'free'
               WHEN earlier.request = a.request AND earlier.status IS NULL THEN 'free'
               WHEN earlier.digest <> a.digest THEN 'other'
               WHEN earlier.status IS NULL THEN 'busy'
               ELSE 'answered' END,
           earlier.status, earlier.content_type, earlier.location, earlier.body
    FROM unnest(p_api_keys, p_keys, p_requests, p_digests, entered) WITH ORDINALITY
             AS a (api_key, key, request, digest, entered, place)
    -- One by one, through the index: what is planned while the table is small stays right when it has grown.
    LEFT JOIN LATERAL (
        SELECT * FROM idempotency_keys k
        WHERE k.api_key = a.api_key AND k.key = a.key AND k.created_at > now() - interval '24 hours' OFFSET 0
    ) earlier ON true
    WHERE a.key IS NOT NULL;
END $$;
