DROP INDEX predictions_in_flight;
DROP TABLE breaker_outcomes, breakers, limit_shares, limit_waits, provider_limits;
CREATE TABLE provider_limits (
    provider     text NOT NULL,
    model        text NOT NULL,
    paused_until timestamptz NOT NULL,
    reason       text NOT NULL,
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (provider, model)
);
