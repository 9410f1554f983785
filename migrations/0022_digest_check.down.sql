ALTER TABLE idempotency_keys
    DROP CONSTRAINT idempotency_keys_digest_check,
    ADD CONSTRAINT idempotency_keys_digest_check CHECK (digest ~ '^[0-9a-f]{64}$') NOT VALID;
