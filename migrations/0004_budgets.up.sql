-- What may be spent, and what has been in each period. Money counts in the period in which it was reserved.

CREATE TABLE budgets (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope       text NOT NULL CHECK (scope IN ('all', 'client', 'campaign', 'job')),
    -- Id of the client, campaign or job; empty for all.
    scope_key   text NOT NULL,
    period      text NOT NULL CHECK (period IN ('day', 'month', 'total')),
    -- Where its days begin.
    zone        text NOT NULL DEFAULT 'UTC',
    -- An alert above the one, nothing bought above the other.
    soft_micros bigint CHECK (soft_micros >= 0),
    hard_micros bigint CHECK (hard_micros >= 0),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CHECK ((scope = 'all') = (scope_key = '')),
    CHECK (soft_micros IS NULL OR hard_micros IS NULL OR soft_micros <= hard_micros),
    UNIQUE (scope, scope_key, period)
);
INSERT INTO budgets (scope, scope_key, period, soft_micros, hard_micros) VALUES ('all', '', 'day', 100000000, 150000000);

-- One row per budget and period. It repeats the hard limit, so that the rule stands within one row.
CREATE TABLE budget_periods (
    budget_id       bigint NOT NULL REFERENCES budgets (id) ON DELETE CASCADE,
    -- First day, in the budget's zone; -infinity for a total.
    starts_on       date   NOT NULL,
    hard_micros     bigint,
    reserved_micros bigint NOT NULL DEFAULT 0 CHECK (reserved_micros >= 0),
    settled_micros  bigint NOT NULL DEFAULT 0 CHECK (settled_micros >= 0),
    PRIMARY KEY (budget_id, starts_on)
) WITH (fillfactor = 50);

-- What a prediction holds, and of which periods.
CREATE TABLE budget_holds (
    prediction_id uuid   NOT NULL REFERENCES predictions (id),
    budget_id     bigint NOT NULL,
    starts_on     date   NOT NULL,
    micros        bigint NOT NULL CHECK (micros >= 0),
    PRIMARY KEY (prediction_id, budget_id),
    FOREIGN KEY (budget_id, starts_on) REFERENCES budget_periods (budget_id, starts_on) ON DELETE CASCADE
);

-- Whatever the code does: a reservation never passes the hard limit. A settlement may, when a provider bills more than it said.
CREATE FUNCTION budget_stays_within() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.reserved_micros + NEW.settled_micros > NEW.hard_micros THEN
        RAISE EXCEPTION 'budget % would hold % of % micro-dollars', NEW.budget_id, NEW.reserved_micros + NEW.settled_micros, NEW.hard_micros
            USING ERRCODE = 'check_violation', CONSTRAINT = 'budget_stays_within';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER budget_stays_within BEFORE UPDATE OF reserved_micros ON budget_periods FOR EACH ROW
    WHEN (NEW.reserved_micros > OLD.reserved_micros) EXECUTE FUNCTION budget_stays_within();

-- While a row stands here nothing is bought.
CREATE TABLE spend_stop (
    single     boolean PRIMARY KEY DEFAULT true CHECK (single),
    stopped_at timestamptz NOT NULL DEFAULT now(),
    why        text NOT NULL,
    by         text NOT NULL
);

-- Tasks that wait for money, longest first.
CREATE TABLE spend_waits (
    task_id bigint      PRIMARY KEY,
    job_id  bigint      NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    since   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX spend_waits_since ON spend_waits (since, task_id);
CREATE INDEX spend_waits_job ON spend_waits (job_id);

-- What the job waits for, for people, and until when at the latest.
ALTER TABLE jobs ADD COLUMN parked_why text, ADD COLUMN parked_until timestamptz;

-- First day of the period that a moment lies in, and the moment at which the next begins (null: never).
CREATE FUNCTION budget_period(p_period text, p_zone text, p_at timestamptz, OUT starts_on date, OUT turns_at timestamptz) LANGUAGE sql STABLE AS $$
    SELECT CASE p_period WHEN 'total' THEN '-infinity'::date ELSE date_trunc(p_period, p_at AT TIME ZONE p_zone)::date END,
           CASE p_period WHEN 'total' THEN NULL
                ELSE (date_trunc(p_period, p_at AT TIME ZONE p_zone) + ('1 ' || p_period)::interval) AT TIME ZONE p_zone END
$$;

-- Holds money for a prediction in every budget that applies, or in none. No rows: it is held; else a row for each budget that
-- lacks some. Rows are locked in the order of the budgets.
CREATE FUNCTION budget_reserve(p_prediction uuid, p_client text, p_campaign text, p_job text, p_micros bigint)
RETURNS TABLE (scope text, scope_key text, period text, hard_micros bigint, missing_micros bigint, turns_at timestamptz)
LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[]; days date[];
BEGIN
    SELECT array_agg(b.id ORDER BY b.id), array_agg(p.starts_on ORDER BY b.id) INTO ids, days
    FROM budgets b, budget_period(b.period, b.zone, now()) p
    WHERE (b.scope, b.scope_key) IN (('all', ''), ('client', p_client), ('campaign', p_campaign), ('job', p_job));
    IF ids IS NULL THEN RETURN; END IF;
    INSERT INTO budget_periods AS bp (budget_id, starts_on, hard_micros)
    SELECT b.id, u.day, b.hard_micros FROM unnest(ids, days) AS u (id, day) JOIN budgets b ON b.id = u.id
    WHERE NOT EXISTS (SELECT FROM budget_periods x WHERE x.budget_id = u.id AND x.starts_on = u.day)
    ORDER BY b.id
    ON CONFLICT DO NOTHING;
    PERFORM FROM budget_periods bp JOIN unnest(ids, days) AS u (id, day) ON bp.budget_id = u.id AND bp.starts_on = u.day
    ORDER BY bp.budget_id FOR UPDATE OF bp;
    RETURN QUERY
        SELECT b.scope, b.scope_key, b.period, bp.hard_micros, bp.reserved_micros + bp.settled_micros + p_micros - bp.hard_micros,
               (budget_period(b.period, b.zone, now())).turns_at
        FROM unnest(ids, days) AS u (id, day)
        JOIN budget_periods bp ON bp.budget_id = u.id AND bp.starts_on = u.day JOIN budgets b ON b.id = u.id
        WHERE bp.reserved_micros + bp.settled_micros + p_micros > bp.hard_micros
        ORDER BY b.id;
    IF FOUND THEN RETURN; END IF;
    UPDATE budget_periods bp SET reserved_micros = bp.reserved_micros + p_micros
    FROM unnest(ids, days) AS u (id, day) WHERE bp.budget_id = u.id AND bp.starts_on = u.day;
    INSERT INTO budget_holds (prediction_id, budget_id, starts_on, micros)
    SELECT p_prediction, u.id, u.day, p_micros FROM unnest(ids, days) AS u (id, day);
END $$;

-- Ends what a prediction holds: its cost counts instead, nothing where nothing was bought.
CREATE FUNCTION budget_settle(p_prediction uuid, p_cost bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM budget_periods bp JOIN budget_holds h ON h.prediction_id = p_prediction AND bp.budget_id = h.budget_id AND bp.starts_on = h.starts_on
    ORDER BY bp.budget_id FOR UPDATE OF bp;
    WITH held AS (DELETE FROM budget_holds WHERE prediction_id = p_prediction RETURNING budget_id, starts_on, micros)
    UPDATE budget_periods bp SET reserved_micros = bp.reserved_micros - h.micros, settled_micros = bp.settled_micros + p_cost
    FROM held h WHERE bp.budget_id = h.budget_id AND bp.starts_on = h.starts_on;
END $$;

-- Counts what was spent and is held before the budget was made. Reservations that are being made at this moment are not seen.
CREATE FUNCTION budget_begin(p_budget bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    b budgets; first_day date;
BEGIN
    SELECT * INTO b FROM budgets WHERE id = p_budget;
    SELECT p.starts_on INTO first_day FROM budget_period(b.period, b.zone, now()) p;
    WITH counted AS (
        SELECT p.id, p.estimate_micros, p.cost_micros, p.state FROM predictions p JOIN jobs j ON j.id = p.job_id
        WHERE (first_day = '-infinity' OR p.intent_at >= first_day::timestamp AT TIME ZONE b.zone)
          AND CASE b.scope WHEN 'all' THEN true WHEN 'client' THEN j.client_id::text = b.scope_key
                           WHEN 'campaign' THEN j.campaign_id::text = b.scope_key ELSE j.id::text = b.scope_key END),
    period AS (
        INSERT INTO budget_periods (budget_id, starts_on, hard_micros, reserved_micros, settled_micros)
        SELECT b.id, first_day, b.hard_micros,
               coalesce(sum(c.estimate_micros) FILTER (WHERE c.state IN ('intent', 'submitted', 'unknown', 'in_doubt')), 0),
               coalesce(sum(c.cost_micros), 0)
        FROM counted c
        RETURNING budget_id)
    INSERT INTO budget_holds (prediction_id, budget_id, starts_on, micros)
    SELECT c.id, period.budget_id, first_day, c.estimate_micros FROM counted c, period
    WHERE c.state IN ('intent', 'submitted', 'unknown', 'in_doubt');
END $$;

-- Predictions from before there were budgets.
SELECT budget_begin(id) FROM budgets;
