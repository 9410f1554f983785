-- The claim of a limited queue: does to the tasks that it picks what the plain statement does. A task whose deadline has passed is
-- left for the sweep, and a run's hard deadline is never later than the task's.
create function queue.claim_limited(p_worker bigint, p_queue text, p_limit integer, p_kinds text[], p_deadlines_ms integer[], p_max_attempts smallint[], p_slack_ms integer)
returns table (again_ms bigint, task queue.task) language plpgsql as $$
declare
    picked record;
begin
    if not exists (select from queue.worker w where w.id = p_worker and w.dead_at is null) then return; end if;
    select * into picked from queue.pick_limited(p_queue, p_limit);
    if picked.again_ms is not null then
        return query select picked.again_ms, null::queue.task;
    end if;
    return query
        update queue.task t
        set state = 4, lease_token = nextval('queue.lease_token'), worker_id = p_worker, claimed_at = now(), attempt = t.attempt + 1,
            max_attempts = coalesce(t.max_attempts, p_max_attempts[array_position(p_kinds, t.kind)]),
            deadline_at = least(t.expires_at, now() + interval '1 millisecond'
                * coalesce(t.timeout_ms + p_slack_ms, p_deadlines_ms[array_position(p_kinds, t.kind)], 60000))
        where t.id = any(picked.ids) and (t.expires_at is null or t.expires_at > now())
        returning null::bigint, t;
end $$;
