-- A dead task may come back between two looks at it: who has not locked it must not act on it. Before, a task that came back could wait
-- for ever for one that had ended, when that came back too and ended at the same time.

-- As before, and says which it has locked.
drop function queue.lock_all(bigint[], boolean);
create function queue.lock_all(p_ids bigint[], p_below boolean) returns bigint[] language plpgsql as $$
declare
    since timestamptz := clock_timestamp(); pause double precision := 0.001; locked bigint[];
begin
    while clock_timestamp() < since + interval '5 seconds' loop
        begin
            locked := array(select t.id from queue.task t where t.id in (
                with recursive below (id) as (
                    select unnest(p_ids)
                    union select e.child from queue.edge e join below b on e.parent = b.id where p_below)
                select b.id from below b) for update nowait);
            return locked;
        exception when lock_not_available then
            -- The block is undone, and with it the locks that it got.
            perform pg_sleep(random() * pause);
            pause := least(pause + 0.001, 0.04);
        end;
    end loop;
    locked := array(select t.id from queue.task t where t.id in (
        with recursive below (id) as (
            select unnest(p_ids)
            union select e.child from queue.edge e join below b on e.parent = b.id where p_below)
        select b.id from below b) order by t.state = 3, t.id for update);
    return locked;
end $$;

-- As before, but what came back while others were waited for is left alone.
create or replace function queue.cancel(p_ids bigint[], p_why text, out asked bigint[], out ended bigint[], out ring text[]) language plpgsql as $$
declare
    mine bigint[] := queue.lock_all(p_ids, true);
begin
    with up as (update queue.task set cancel_why = coalesce(cancel_why, p_why) where id = any(p_ids) and id = any(mine) and state = 4 returning id)
    select coalesce(array_agg(id), '{}') into asked from up;
    select coalesce(array_agg(id), '{}') into ended from queue.task where id = any(p_ids) and id = any(mine) and state <> 4;
    delete from queue.edge where child = any(ended);
    perform queue.bury(ended, 7::smallint, null, null, null, p_why);
    ring := queue.settle(ended, 7::smallint);
end $$;

-- As before, and finds every task that there is: one that comes back between the two looks is in neither.
create or replace function queue.expect(p_parents bigint[]) returns table (id bigint, state smallint) language plpgsql as $$
declare
    rest bigint[] := p_parents; ids bigint[]; states smallint[];
begin
    loop
        perform queue.lock_all(rest, false);
        with marked as (update queue.task t set has_children = true where t.id = any(rest) returning t.id, t.state)
        select coalesce(array_agg(m.id), '{}'), array_agg(m.state) into ids, states from marked m;
        return query select * from unnest(ids, states);
        rest := array(select unnest(rest) except select unnest(ids));
        select coalesce(array_agg(e.id), '{}'), array_agg(e.state) into ids, states from (
            select distinct on (h.id) h.id, h.state from queue.task_history h
            where h.id = any(rest) and not exists (select from queue.task t where t.id = h.id)
            order by h.id, h.finished_at desc) e;
        return query select * from unnest(ids, states);
        rest := array(select unnest(rest) except select unnest(ids));
        exit when not exists (select from queue.task t where t.id = any(rest)) and not exists (select from queue.task_history h where h.id = any(rest));
    end loop;
end $$;

-- As before, by one look at the parents.
create or replace function queue.revive(p_ids bigint[], p_below boolean, p_force boolean, out revived bigint[], out ring text[], out taken bigint[]) language plpgsql as $$
declare
    lost bigint[]; family bigint[]; live bigint[]; dead bigint[];
begin
    revived := p_ids;
    taken := '{}';
    if p_below then
        revived := revived || array(select queue.dead_below(p_ids));
    end if;
    -- Of two that want the same task back the second finds nothing. What dies after this look is not meant.
    revived := array(select l.id from (
        select id from queue.task_history where id = any(revived) and state in (6, 7) order by id for update) l);
    -- Parents that are in the queue stay there until this transaction ends. They come before the keys, as in a batch. Who is dead now
    -- may be back a moment later: what is found here holds to the end, as if that came after us.
    family := array(select distinct p from queue.task_history h, unnest(h.parents) p where h.id = any(revived));
    select coalesce(array_agg(e.id) filter (where e.state < 5), '{}'), coalesce(array_agg(e.id) filter (where e.state in (6, 7)), '{}')
    into live, dead from queue.expect(array(select unnest(family) except select unnest(revived))) e;
    perform queue.lock_keys(revived);
    loop
        lost := array(select queue.key_taken(revived));
        if lost <> '{}' then
            taken := taken || lost;
        else
            with member as materialized (
                select h.id, h.need, h.parents, h.parent_rules
                from unnest(revived) u(id) join queue.task_history h on h.id = u.id and h.state in (6, 7)),
            held as (
                select m.id, bool_or(p.rule = 0) as needs_it, count(*) filter (where p.rule = 2) as counted
                from member m, unnest(m.parents, m.parent_rules) as p(id, rule)
                where p.id = any(dead)
                group by m.id)
            select array_agg(m.id) into lost from member m join held on held.id = m.id
            where not (p_force and m.id = any(p_ids))
              and (held.needs_it or m.need > cardinality(array_positions(m.parent_rules, 2::smallint)) - held.counted);
            exit when lost is null;
        end if;
        revived := array(select unnest(revived) except select unnest(lost));
        dead := dead || lost;
    end loop;
    perform queue.retake_keys(revived);
    insert into queue.task (id, created_at, run_at, expires_at, lease_token, timeout_ms, parks, state, priority, version, max_attempts, queue, kind,
                            group_key, share_key, unique_key, last_error, payload, parents, parent_rules, need, spare)
    select h.id, h.created_at, now(), case when h.expires_at > now() then h.expires_at end, h.lease_token, h.timeout_ms, h.parks, 0, h.priority,
           h.version, h.max_attempts, h.queue, h.kind, h.group_key, h.share_key, h.unique_key, h.error, h.payload, h.parents, h.parent_rules, h.need,
           case when h.need is not null then greatest(0, cardinality(array_positions(h.parent_rules, 2::smallint)) - h.need - coalesce(f.counted, 0)) end
    from queue.task_history h
    left join (
        select c.id, count(*)::integer as counted
        from queue.task_history c, unnest(c.parents, c.parent_rules) as p(id, rule)
        where c.id = any(revived) and c.need is not null and p.rule = 2 and p.id = any(dead)
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
        where t.id = any(revived) and p.id = any(live || revived)
        returning parent, child),
    blocked as (
        update queue.task t set waits = g.n, state = 3
        from (select child, count(*)::integer as n from given group by child) g where t.id = g.child)
    select array_agg(distinct parent) into family from given;
    update queue.task set has_children = true where id = any(family) and not has_children;
    ring := array(select distinct queue from queue.task where id = any(revived) and state = 0);
end $$;
