-- Steps that need several statements, each with its own snapshot, in one round trip.
-- Lock order inside the queue: running tasks first, then waiting tasks, each in id order.

-- The partitions of this month and the next `ahead` months. Rows that fell into the default partition meanwhile are moved.
create function queue.make_partitions(ahead integer) returns void language plpgsql as $$
declare
    base text; col text; part text; lo timestamptz; hi timestamptz; fallback text;
begin
    foreach base in array array['task_history', 'run'] loop
        col := case base when 'run' then 'ended_at' else 'finished_at' end;
        fallback := base || '_default';
        if to_regclass('queue.' || fallback) is null then
            execute format('create table queue.%I partition of queue.%I default', fallback, base);
        end if;
        for i in 0..ahead loop
            lo := (date_trunc('month', now() at time zone 'UTC') + make_interval(months => i)) at time zone 'UTC';
            hi := (date_trunc('month', now() at time zone 'UTC') + make_interval(months => i + 1)) at time zone 'UTC';
            part := base || '_' || to_char(lo at time zone 'UTC', 'YYYY_MM');
            continue when to_regclass('queue.' || part) is not null;
            execute format('create table queue.%I (like queue.%I including defaults including constraints)', part, base);
            execute format('with moved as (delete from queue.%I where %I >= %L and %I < %L returning *) insert into queue.%I select * from moved',
                           fallback, col, lo, col, hi, part);
            execute format('alter table queue.%I attach partition queue.%I for values from (%L) to (%L)', base, part, lo, hi);
        end loop;
    end loop;
end $$;
select queue.make_partitions(1);

-- Rings the doorbell of a queue. It wakes a sleeping worker; a ring that is lost costs only the time to the next poll.
create function queue.ring(name text) returns void language sql as $$
    select pg_notify('spool_queue', 'w ' || name)
$$;

-- Moves tasks to the history in one final state. The caller holds their locks.
create function queue.bury(p_ids bigint[], p_state smallint, p_output json, p_class text, p_error text, p_why text)
returns setof bigint language sql as $$
    with gone as (delete from queue.task where id = any(p_ids) returning *)
    insert into queue.task_history (id, finished_at, created_at, run_at, started_at, lease_token, worker_id, parks, state, priority,
        version, attempt, max_attempts, timeout_ms, queue, kind, group_key, share_key, unique_key, why, error_class, error, payload, output)
    select id, now(), created_at, run_at, claimed_at, lease_token, worker_id, parks, p_state, priority,
        version, attempt, max_attempts, timeout_ms, queue, kind, group_key, share_key, unique_key, p_why, p_class,
        coalesce(p_error, last_error), payload, p_output
    from gone
    returning id
$$;

-- Follows the edges of parents that have just become final: lowers counters, and where an edge says so cancels the child,
-- its children and so on. Returns the queues that have something ready now.
create function queue.settle(p_parents bigint[], p_state smallint) returns text[] language plpgsql as $$
declare
    frontier bigint[] := p_parents; bad boolean := p_state <> 5; doomed bigint[]; parent_of bigint;
    ring text[] := '{}'; readied text[]; verb text := case p_state when 6 then 'failed' else 'was canceled' end;
begin
    if bad then
        -- A cancel may run down the whole graph: all of it is locked at once and in id order, so that two never wait for each other.
        perform from queue.task t where t.id in (
            with recursive below (id) as (
                select e.child from queue.edge e where e.parent = any(p_parents)
                union select e.child from queue.edge e join below b on e.parent = b.id)
            select b.id from below b) order by t.id for update;
    end if;
    loop
        perform from queue.task t where t.id in (select e.child from queue.edge e where e.parent = any(frontier)) order by t.id for update;
        doomed := null;
        if bad then
            select array_agg(distinct e.child order by e.child), min(e.parent) into doomed, parent_of
            from queue.edge e where e.parent = any(frontier) and not e.run_anyway;
        end if;
        with gone as (delete from queue.edge e where e.parent = any(frontier) returning e.child),
        fewer as (select child, count(*)::integer as n from gone where doomed is null or child <> all(doomed) group by child),
        moved as (
            update queue.task t
            set waits = t.waits - f.n,
                state = case when t.waits > f.n then 3 when t.run_at <= now() then 0 else 1 end,
                run_at = case when t.waits > f.n then t.run_at else greatest(t.run_at, now()) end
            from fewer f where t.id = f.child and t.state = 3
            returning t.queue, t.state)
        select array_agg(distinct m.queue) into readied from moved m where m.state = 0;
        ring := ring || coalesce(readied, '{}');
        exit when doomed is null;
        delete from queue.edge e where e.child = any(doomed);
        select array_agg(b) into frontier
        from queue.bury(doomed, 7::smallint, null, null, null, format('task %s, which it waits for, %s', parent_of, verb)) b;
        exit when frontier is null;
        verb := 'was canceled';
    end loop;
    return ring;
end $$;

-- Ends one run for good, if its lease is still held. Null: the lease was lost and nothing was changed.
create function queue.finish(p_id bigint, p_token bigint, p_state smallint, p_output json, p_class text, p_error text, p_why text)
returns text[] language plpgsql as $$
declare
    children boolean;
begin
    select has_children into children from queue.task where id = p_id and lease_token = p_token and state = 4 for update;
    if not found then return null; end if;
    perform queue.bury(array[p_id], p_state, p_output, p_class, p_error, p_why);
    if children then return queue.settle(array[p_id], p_state); end if;
    return '{}';
end $$;

-- Cancels tasks: those that run are asked to stop, all others end at once. Tasks that are gone already are passed over.
create function queue.cancel(p_ids bigint[], p_why text, out asked bigint[], out ended bigint[], out ring text[]) language plpgsql as $$
begin
    perform from queue.task where id = any(p_ids) and state = 4 order by id for update;
    perform from queue.task where id = any(p_ids) order by id for update;
    with up as (update queue.task set cancel_why = coalesce(cancel_why, p_why) where id = any(p_ids) and state = 4 returning id)
    select coalesce(array_agg(id), '{}') into asked from up;
    select coalesce(array_agg(id), '{}') into ended from queue.task where id = any(p_ids) and state <> 4;
    delete from queue.edge where child = any(ended);
    perform queue.bury(ended, 7::smallint, null, null, null, p_why);
    ring := queue.settle(ended, 7::smallint);
end $$;

-- Everything that waits for p_old now also waits for p_new, by the same rule. False: p_old has ended, nothing waits for it.
create function queue.stand_in(p_new bigint, p_old bigint) returns boolean language plpgsql as $$
declare
    children bigint[];
begin
    perform from queue.task where id = p_old for update;
    if not found then return false; end if;
    perform from queue.task where id in (select child from queue.edge where parent = p_old) order by id for update;
    with copied as (
        insert into queue.edge (parent, child, run_anyway)
        select p_new, child, run_anyway from queue.edge where parent = p_old and child <> p_new
        on conflict do nothing
        returning child)
    select array_agg(child) into children from copied;
    if children is not null then
        update queue.task set waits = waits + 1 where id = any(children);
        update queue.task set has_children = true where id = p_new;
    end if;
    return true;
end $$;

-- Parents that something is about to wait for. Live ones are locked and marked; ended ones give their final state; unknown ones are missing.
create function queue.expect(p_parents bigint[]) returns table (id bigint, state smallint) language plpgsql as $$
begin
    perform from queue.task t where t.id = any(p_parents) order by t.state = 4 desc, t.id for update;
    return query update queue.task t set has_children = true where t.id = any(p_parents) returning t.id, t.state;
    return query select distinct on (h.id) h.id, h.state from queue.task_history h
        where h.id = any(p_parents) and not exists (select from queue.task t where t.id = h.id)
        order by h.id, h.finished_at desc;
end $$;
