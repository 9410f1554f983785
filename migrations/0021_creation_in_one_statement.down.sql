DROP FUNCTION idempotency_enter(text[], text[], uuid[], text[]);
