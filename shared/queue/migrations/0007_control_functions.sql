-- Steps of several statements for parents, deadlines and retries.
-- Lock order inside the queue: history rows that come back, then running tasks, then waiting tasks, each in id order. But a task can
-- begin to run between two looks at it, so what needs locks on tasks of any state takes them all at once or none: see lock_all.

-- As before, and keeps what the task knew of its parents.
create or replace function queue.bury(p_ids bigint[], p_state smallint, p_output json, p_class text, p_error text, p_why text)
returns setof bigint language sql as $$
    with gone as (delete from queue.task where id = any(p_ids) returning *)
    insert into queue.task_history (id, finished_at, created_at, run_at, started_at, lease_token, worker_id, parks, state, priority,
        version, attempt, max_attempts, timeout_ms, queue, kind, group_key, share_key, unique_key, why, error_class, error, payload, output,
        expires_at, parents, parent_rules, need)
    select id, now(), created_at, run_at, claimed_at, lease_token, worker_id, parks, p_state, priority,
        version, attempt, max_attempts, timeout_ms, queue, kind, group_key, share_key, unique_key, p_why, p_class,
        coalesce(p_error, last_error), payload, p_output, expires_at, parents, parent_rules, need
    from gone
    returning id
$$;

-- Locks tasks, and with `p_below` all that waits for them, however indirectly. Whoever waits for a lock here holds none of the others,
-- so it can be part of no deadlock. Only a task that is locked for longer than a second is waited for with the others in hand.
create function queue.lock_all(p_ids bigint[], p_below boolean) returns void language plpgsql as $$
begin
    for attempt in 1..60 loop
        begin
            perform from queue.task t where t.id in (
                with recursive below (id) as (
                    select unnest(p_ids)
                    union select e.child from queue.edge e join below b on e.parent = b.id where p_below)
                select b.id from below b) for update nowait;
            return;
        exception when lock_not_available then
            -- The block is undone, and with it the locks that it got.
            perform pg_sleep(random() * least(attempt, 40) / 1000);
        end;
    end loop;
    perform from queue.task t where t.id in (
        with recursive below (id) as (
            select unnest(p_ids)
            union select e.child from queue.edge e join below b on e.parent = b.id where p_below)
        select b.id from below b) order by t.state = 3, t.id for update;
end $$;

-- As before, but the parents are locked all at once.
create or replace function queue.expect(p_parents bigint[]) returns table (id bigint, state smallint) language plpgsql as $$
begin
    perform queue.lock_all(p_parents, false);
    return query update queue.task t set has_children = true where t.id = any(p_parents) returning t.id, t.state;
    return query select distinct on (h.id) h.id, h.state from queue.task_history h
        where h.id = any(p_parents) and not exists (select from queue.task t where t.id = h.id)
        order by h.id, h.finished_at desc;
end $$;

-- As before, and counts failures for tasks that need some of their parents only. A task that is canceled because of a parent gets
-- the class 'parent'.
create or replace function queue.settle(p_parents bigint[], p_state smallint) returns text[] language plpgsql as $$
declare
    frontier bigint[] := p_parents; bad boolean := p_state <> 5; doomed bigint[]; parent_of bigint;
    ring text[] := '{}'; readied text[]; verb text := case p_state when 6 then 'failed' else 'was canceled' end;
begin
    if bad then
        -- A cancel may run down the whole graph. What waits for tasks is blocked, so all who hold a task that ends come in this order.
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
            select array_agg(d.child order by d.child), min(d.parent) into doomed, parent_of
            from (select e.child, coalesce(min(e.parent) filter (where not e.run_anyway), min(e.parent) filter (where e.counts)) as parent
                  from queue.edge e join queue.task t on t.id = e.child
                  where e.parent = any(frontier)
                  group by e.child, t.spare
                  having not bool_and(e.run_anyway) or count(*) filter (where e.counts) > coalesce(t.spare, 0)) d;
        end if;
        with gone as (delete from queue.edge e where e.parent = any(frontier) returning e.child, e.counts),
        fewer as (
            select child, count(*)::integer as n, (count(*) filter (where counts))::integer as counted
            from gone where doomed is null or child <> all(doomed) group by child),
        moved as (
            update queue.task t
            set waits = t.waits - f.n,
                spare = case when bad then t.spare - f.counted else t.spare end,
                state = case when t.waits > f.n then 3 when t.run_at <= now() then 0 else 1 end,
                run_at = case when t.waits > f.n then t.run_at else greatest(t.run_at, now()) end
            from fewer f where t.id = f.child and t.state = 3
            returning t.queue, t.state)
        select array_agg(distinct m.queue) into readied from moved m where m.state = 0;
        ring := ring || coalesce(readied, '{}');
        exit when doomed is null;
        delete from queue.edge e where e.child = any(doomed);
        select array_agg(b) into frontier
        from queue.bury(doomed, 7::smallint, null, 'parent', null, format('task %s, which it waits for, %s', parent_of, verb)) b;
        exit when frontier is null;
        verb := 'was canceled';
    end loop;
    return ring;
end $$;

-- As before, but everything that the cancel may reach is locked at once.
create or replace function queue.cancel(p_ids bigint[], p_why text, out asked bigint[], out ended bigint[], out ring text[]) language plpgsql as $$
begin
    perform queue.lock_all(p_ids, true);
    with up as (update queue.task set cancel_why = coalesce(cancel_why, p_why) where id = any(p_ids) and state = 4 returning id)
    select coalesce(array_agg(id), '{}') into asked from up;
    select coalesce(array_agg(id), '{}') into ended from queue.task where id = any(p_ids) and state <> 4;
    delete from queue.edge where child = any(ended);
    perform queue.bury(ended, 7::smallint, null, null, null, p_why);
    ring := queue.settle(ended, 7::smallint);
end $$;

-- As before; the children know the stand-in as a parent of theirs. A counted parent's stand-in is counted too: how many may fail
-- stays the same.
create or replace function queue.stand_in(p_new bigint, p_old bigint) returns boolean language plpgsql as $$
begin
    perform from queue.task where id = p_old for update;
    if not found then return false; end if;
    perform from queue.task where id in (select child from queue.edge where parent = p_old) order by id for update;
    with copied as (
        insert into queue.edge (parent, child, run_anyway, counts)
        select p_new, child, run_anyway, counts from queue.edge where parent = p_old and child <> p_new
        on conflict do nothing
        returning child, run_anyway, counts)
    update queue.task t
    set waits = t.waits + 1,
        parents = t.parents || p_new,
        parent_rules = t.parent_rules || case when c.counts then 2 when c.run_anyway then 1 else 0 end::smallint,
        need = case when c.counts then t.need + 1 else t.need end
    from copied c where t.id = c.child;
    if found then
        update queue.task set has_children = true where id = p_new;
    end if;
    return true;
end $$;

-- Ends waiting tasks whose deadline has passed: they fail, with all that follows from it for those that wait for them.
create function queue.expire(p_limit integer, out ended bigint[], out ring text[]) language plpgsql as $$
declare
    late bigint[];
begin
    late := array(select id from queue.task where expires_at <= now() and worker_id is null order by expires_at limit p_limit);
    perform queue.lock_all(late, true);
    ended := array(select id from queue.task where id = any(late) and state <> 4 and expires_at <= now());
    delete from queue.edge where child = any(ended);
    perform queue.bury(ended, 6::smallint, null, 'deadline', 'it was not done by its deadline', null);
    ring := queue.settle(ended, 6::smallint);
end $$;

-- The tasks that were canceled because one of these had ended badly, and those canceled because of them, and so on.
create function queue.dead_below(p_ids bigint[]) returns setof bigint language sql stable as $$
    with recursive below (id) as (
        select unnest(p_ids)
        union
        select h.id from below b join queue.task_history h on h.parents @> array[b.id] and h.state = 7 and h.error_class = 'parent')
    select id from below except select unnest(p_ids)
$$;

-- Brings dead tasks back under their own numbers, with all their attempts; with `p_below` also those that were canceled because
-- of them. Each waits again for those of its parents that are in the queue, by the rules that it had.
--
-- A task stays dead when its unique key is taken, and when a parent that it cannot do without is dead and does not come back
-- with it. With `p_force` the second is no reason for the tasks of `p_ids` themselves.
create function queue.revive(p_ids bigint[], p_below boolean, p_force boolean, out revived bigint[], out ring text[]) language plpgsql as $$
declare
    lost bigint[]; family bigint[];
begin
    revived := p_ids;
    if p_below then
        revived := revived || array(select queue.dead_below(p_ids));
    end if;
    -- Of two that want the same task back the second finds nothing. What dies after this look is not meant.
    revived := array(select l.id from (
        select id from queue.task_history where id = any(revived) and state in (6, 7) order by id for update) l);
    -- Parents that are in the queue stay there until this transaction ends.
    family := array(select distinct p from queue.task_history h, unnest(h.parents) p where h.id = any(revived));
    perform queue.expect(array(select unnest(family) except select unnest(revived)));
    loop
        with member as materialized (
            select h.id, h.kind, h.unique_key, h.need, h.parents, h.parent_rules
            from unnest(revived) u(id) join queue.task_history h on h.id = u.id and h.state in (6, 7)),
        held as (
            select m.id, bool_or(p.rule = 0) as needs_it, count(*) filter (where p.rule = 2) as counted
            from member m, unnest(m.parents, m.parent_rules) as p(id, rule)
            where exists (select from queue.task_history d where d.id = p.id and d.state in (6, 7))
              and not exists (select from member o where o.id = p.id)
            group by m.id)
        select array_agg(m.id) into lost from member m left join held on held.id = m.id
        where (m.unique_key is not null
               and (exists (select from queue.task t where t.kind = m.kind and t.unique_key = m.unique_key)
                    or exists (select from member o where o.kind = m.kind and o.unique_key = m.unique_key and o.id > m.id)))
           or (not (p_force and m.id = any(p_ids))
               and (held.needs_it or m.need > cardinality(array_positions(m.parent_rules, 2::smallint)) - held.counted));
        exit when lost is null;
        revived := array(select unnest(revived) except select unnest(lost));
    end loop;
    insert into queue.task (id, created_at, run_at, expires_at, lease_token, timeout_ms, parks, state, priority, version, max_attempts, queue, kind,
                            group_key, share_key, unique_key, last_error, payload, parents, parent_rules, need, spare)
    select h.id, h.created_at, now(), case when h.expires_at > now() then h.expires_at end, h.lease_token, h.timeout_ms, h.parks, 0, h.priority,
           h.version, h.max_attempts, h.queue, h.kind, h.group_key, h.share_key, h.unique_key, h.error, h.payload, h.parents, h.parent_rules, h.need,
           case when h.need is not null then greatest(0, cardinality(array_positions(h.parent_rules, 2::smallint)) - h.need - coalesce(f.counted, 0)) end
    from queue.task_history h
    left join (
        select c.id, count(*)::integer as counted
        from queue.task_history c, unnest(c.parents, c.parent_rules) as p(id, rule)
        where c.id = any(revived) and c.need is not null and p.rule = 2
          and exists (select from queue.task_history d where d.id = p.id and d.state in (6, 7))
          and p.id not in (select unnest(revived))
        group by c.id) f on f.id = h.id
    where h.id = any(revived) order by h.id;
    -- The run that ended it, and that it came back.
    insert into queue.run (task_id, lease_token, ended_at, started_at, worker_id, attempt, outcome, counted, error_class, error)
    select id, lease_token, finished_at, started_at, worker_id, attempt, case state when 6 then 3 else 4 end, true, error_class, error
    from queue.task_history where id = any(revived) and worker_id is not null
    union all
    select id, coalesce(lease_token, 0), now(), null, null, attempt, 10, false, null, coalesce(why, error)
    from queue.task_history where id = any(revived);
    delete from queue.task_history where id = any(revived) and state in (6, 7);
    with given as (
        insert into queue.edge (parent, child, run_anyway, counts)
        select p.id, t.id, p.rule <> 0, p.rule = 2
        from queue.task t, unnest(t.parents, t.parent_rules) as p(id, rule)
        where t.id = any(revived) and exists (select from queue.task l where l.id = p.id)
        returning parent, child),
    blocked as (
        update queue.task t set waits = g.n, state = 3
        from (select child, count(*)::integer as n from given group by child) g where t.id = g.child)
    select array_agg(distinct parent) into family from given;
    update queue.task set has_children = true where id = any(family) and not has_children;
    ring := array(select distinct queue from queue.task where id = any(revived) and state = 0);
end $$;
