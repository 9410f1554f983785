DROP FUNCTION budget_room;
DROP TABLE spend_shares;
ALTER TABLE spend_waits DROP COLUMN micros, DROP COLUMN share, DROP COLUMN offered_at;
DROP FUNCTION budget_recount;
DROP FUNCTION budgets_alone;
CREATE OR REPLACE FUNCTION budget_reserve(p_prediction uuid, p_client text, p_campaign text, p_job text, p_micros bigint)
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
CREATE OR REPLACE FUNCTION budget_settle(p_prediction uuid, p_cost bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM budget_periods bp JOIN budget_holds h ON h.prediction_id = p_prediction AND bp.budget_id = h.budget_id AND bp.starts_on = h.starts_on
    ORDER BY bp.budget_id FOR UPDATE OF bp;
    WITH held AS (DELETE FROM budget_holds WHERE prediction_id = p_prediction RETURNING budget_id, starts_on, micros)
    UPDATE budget_periods bp SET reserved_micros = bp.reserved_micros - h.micros, settled_micros = bp.settled_micros + p_cost
    FROM held h WHERE bp.budget_id = h.budget_id AND bp.starts_on = h.starts_on;
END $$;
