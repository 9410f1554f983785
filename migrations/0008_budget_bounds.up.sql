-- Budgets that change while money is spent. Whoever holds or settles money shares this lock, whoever makes or changes a budget has it
-- alone: what it counts is then all there is, and what comes later knows the budget.

CREATE FUNCTION budgets_alone() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE budgets IN EXCLUSIVE MODE;
END $$;

CREATE OR REPLACE FUNCTION budget_reserve(p_prediction uuid, p_client text, p_campaign text, p_job text, p_micros bigint)
RETURNS TABLE (scope text, scope_key text, period text, hard_micros bigint, missing_micros bigint, turns_at timestamptz)
LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[]; days date[];
BEGIN
    LOCK TABLE budgets IN ROW SHARE MODE;
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

CREATE OR REPLACE FUNCTION budget_settle(p_prediction uuid, p_cost bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE budgets IN ROW SHARE MODE;
    PERFORM FROM budget_periods bp JOIN budget_holds h ON h.prediction_id = p_prediction AND bp.budget_id = h.budget_id AND bp.starts_on = h.starts_on
    ORDER BY bp.budget_id FOR UPDATE OF bp;
    WITH held AS (DELETE FROM budget_holds WHERE prediction_id = p_prediction RETURNING budget_id, starts_on, micros)
    UPDATE budget_periods bp SET reserved_micros = bp.reserved_micros - h.micros, settled_micros = bp.settled_micros + p_cost
    FROM held h WHERE bp.budget_id = h.budget_id AND bp.starts_on = h.starts_on;
END $$;

-- Its days begin at another time: what was counted by the old ones counts no more, the present period is counted anew. What is held
-- since before it is settled in no period of this budget. The caller has the lock.
CREATE FUNCTION budget_recount(p_budget bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM budget_periods WHERE budget_id = p_budget;
    PERFORM budget_begin(p_budget);
END $$;

-- What a wait for money wants, for whom, and whether it was offered some.
ALTER TABLE spend_waits
    ADD COLUMN micros     bigint NOT NULL DEFAULT 0 CHECK (micros >= 0),
    ADD COLUMN share      text   NOT NULL DEFAULT '',
    ADD COLUMN offered_at timestamptz;
-- Shares take turns: the number of the last one of each.
CREATE TABLE spend_shares (
    share text   PRIMARY KEY,
    turn  bigint NOT NULL
);

-- What hard limits leave in the present period: `left` is not held or spent, `spare` is not offered to anybody either. An offer that
-- was not taken up for a minute keeps nothing any more.
CREATE FUNCTION budget_room() RETURNS TABLE (budget_id bigint, scope text, scope_key text, left_micros bigint, spare_micros bigint)
LANGUAGE sql STABLE AS $$
    WITH offered AS MATERIALIZED (
        SELECT j.client_id::text AS client, j.campaign_id::text AS campaign, j.id::text AS job, w.micros
        FROM spend_waits w JOIN jobs j ON j.id = w.job_id WHERE w.offered_at > now() - interval '1 minute')
    SELECT b.id, b.scope, b.scope_key, room.micros,
           room.micros - coalesce((SELECT sum(o.micros) FROM offered o
               WHERE (b.scope, b.scope_key) IN (('all', ''), ('client', o.client), ('campaign', o.campaign), ('job', o.job))), 0)::bigint
    FROM budgets b CROSS JOIN LATERAL budget_period(b.period, b.zone, now()) p
    LEFT JOIN budget_periods bp ON bp.budget_id = b.id AND bp.starts_on = p.starts_on
    CROSS JOIN LATERAL (SELECT b.hard_micros - coalesce(bp.reserved_micros + bp.settled_micros, 0) AS micros) room
    WHERE b.hard_micros IS NOT NULL
$$;
