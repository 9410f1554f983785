DROP FUNCTION idempotency_enter(text, text);
DROP TABLE idempotency_keys;
