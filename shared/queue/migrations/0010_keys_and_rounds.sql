-- Keys that dead tasks take again, everything that Rust can say of a task in plain SQL, and rounds that one bad row does not stop.

-- A task that had a key in `hold` and lost it, while it may still come back from the history. Swept when it cannot.
alter table queue.hold add column span smallint;
comment on column queue.hold.span is 'see take_keys; null: taken before this was noted';
create index hold_task on queue.hold (task_id);
create table queue.former_key (
    task_id bigint      not null,
    kind    text        collate "C" not null,
    key     text        collate "C" not null,
    span    smallint,
    until   timestamptz not null,
    primary key (task_id, kind, key)
);

-- Notes that a key is taken from its holder, if that is in the queue or dead.
create function queue.note_former(p_kind text, p_key text) returns void language sql as $$
    insert into queue.former_key (task_id, kind, key, span, until)
    select h.task_id, h.kind, h.key, h.span, h.until from queue.hold h
    where h.kind = p_kind and h.key = p_key
      and (exists (select from queue.task t where t.id = h.task_id)
           or exists (select from queue.task_history d where d.id = h.task_id and d.state in (6, 7)))
    on conflict do nothing
$$;

-- Whether the task that has a key in `hold` holds it against another that wants it for this span.
create function queue.is_held(p_holder bigint, p_until timestamptz, p_span smallint) returns boolean language sql stable as $$
    select case when p_span = 1 then exists (select from queue.task t where t.id = p_holder and t.state <> 4)
                else (p_span = 2 and exists (select from queue.task t where t.id = p_holder))
                     or (p_until > now() and (exists (select from queue.task t where t.id = p_holder)
                         or not exists (select from queue.task_history h where h.id = p_holder and h.state in (6, 7)))) end
$$;

-- As before, and notes the span and whom a key is taken from.
create or replace function queue.take_keys(p_kinds text[], p_keys text[], p_ids bigint[], p_spans smallint[], p_periods_ms bigint[])
returns table (refused bigint, holder bigint) language plpgsql as $$
declare
    waited_for bigint[] := '{}'; had bigint; had_until timestamptz; new_until timestamptz; period interval; is_held boolean; is_live boolean;
begin
    for i in 1 .. cardinality(p_ids) loop
        loop
            -- Not "do update where": its condition would look at tasks as they were before another enqueuer committed.
            insert into queue.hold (kind, key, task_id, until) values (p_kinds[i], p_keys[i], p_ids[i], '-infinity') on conflict do nothing;
            exit when found;
            select h.task_id into had from queue.hold h where h.kind = p_kinds[i] and h.key = p_keys[i] for update;
            if found then
                if p_spans[i] = 1 then waited_for := waited_for || had; end if;
                exit;
            end if;
        end loop;
    end loop;
    perform from queue.task t where t.id = any(waited_for) and t.state <> 4 order by t.id for update;
    for i in 1 .. cardinality(p_ids) loop
        select h.task_id, h.until into had, had_until from queue.hold h where h.kind = p_kinds[i] and h.key = p_keys[i];
        if had = p_ids[i] then
            is_held := false;
        elsif had = any(p_ids) then
            -- A twin in the same call, whose row comes after this.
            is_held := true;
        elsif p_spans[i] = 1 then
            perform from queue.task t where t.id = had and t.state <> 4 for update;
            is_held := found;
        else
            is_live := exists (select from queue.task t where t.id = had);
            is_held := (is_live and p_spans[i] = 2) or (had_until > now() and (is_live or not exists (
                select from queue.task_history h where h.id = had and h.state in (6, 7))));
        end if;
        if is_held then
            refused := p_ids[i];
            holder := had;
            return next;
        else
            if had <> p_ids[i] then
                perform queue.note_former(p_kinds[i], p_keys[i]);
            end if;
            period := p_periods_ms[i] * interval '1 millisecond';
            new_until := case p_spans[i] when 3 then date_bin(period, now(), timestamptz 'epoch') + period else now() + period end;
            update queue.hold h set task_id = p_ids[i], until = new_until, span = p_spans[i] where h.kind = p_kinds[i] and h.key = p_keys[i];
        end if;
    end loop;
end $$;

-- The keys in `hold` that tasks have or had, and need when they come back. One for a period that is over is needed no more.
create function queue.keys_of(p_ids bigint[]) returns table (task_id bigint, kind text, key text, span smallint, until timestamptz)
language sql stable as $$
    select k.task_id, k.kind, k.key, k.span, k.until from (
        select h.task_id, h.kind, h.key, coalesce(h.span, 2::smallint) as span, h.until from queue.hold h where h.task_id = any(p_ids)
        union
        select f.task_id, f.kind, f.key, coalesce(f.span, 2::smallint), f.until from queue.former_key f
        where f.task_id = any(p_ids) and not exists (select from queue.hold h where h.kind = f.kind and h.key = f.key and h.task_id = f.task_id)) k
    where k.span <> 3 or k.until > now()
$$;

-- Those of these dead tasks that cannot come back because another task has a key of theirs. Of two with one key the newer can.
create function queue.key_taken(p_ids bigint[]) returns setof bigint language sql stable as $$
    with mine as materialized (select * from queue.keys_of(p_ids)),
    member as materialized (
        select h.id, h.kind, h.unique_key from queue.task_history h where h.id = any(p_ids) and h.state in (6, 7) and h.unique_key is not null)
    select m.id from member m
    where exists (select from queue.task t where t.kind = m.kind and t.unique_key = m.unique_key)
       or exists (select from member o where o.kind = m.kind and o.unique_key = m.unique_key and o.id > m.id)
    union
    select m.task_id from mine m join queue.hold h on h.kind = m.kind and h.key = m.key and h.task_id <> m.task_id
    where queue.is_held(h.task_id, h.until, m.span)
    union
    select m.task_id from mine m join mine o on o.kind = m.kind and o.key = m.key and o.task_id > m.task_id
$$;

-- Locks the keys that these tasks have or had, in the order of take_keys; whoever wants one waits. Who waits to run and has one
-- that a task wants that may have it only while it waits itself is kept from starting.
create function queue.lock_keys(p_ids bigint[]) returns void language plpgsql as $$
declare
    k record; had bigint;
begin
    for k in select u.kind, u.key, max(u.task_id) as task_id, max(u.until) as until, max(u.span) as span, bool_or(u.span = 1) as waits
             from queue.keys_of(p_ids) u group by u.kind, u.key order by u.key collate "C", u.kind collate "C" loop
        loop
            -- It may have been swept.
            insert into queue.hold (kind, key, task_id, until, span) values (k.kind, k.key, k.task_id, k.until, k.span) on conflict do nothing;
            exit when found;
            select h.task_id into had from queue.hold h where h.kind = k.kind and h.key = k.key for update;
            if found then
                if k.waits and had <> all(p_ids) then
                    perform from queue.task t where t.id = had and t.state <> 4 for update;
                end if;
                exit;
            end if;
        end loop;
    end loop;
end $$;

-- Gives tasks that come back their keys in `hold` again. The caller has locked the keys and knows that they are free.
create function queue.retake_keys(p_ids bigint[]) returns void language plpgsql as $$
declare
    k record;
begin
    for k in select * from queue.keys_of(p_ids) loop
        if exists (select from queue.hold h where h.kind = k.kind and h.key = k.key and h.task_id <> k.task_id) then
            perform queue.note_former(k.kind, k.key);
        end if;
        update queue.hold h set task_id = k.task_id, until = k.until, span = k.span where h.kind = k.kind and h.key = k.key;
    end loop;
    delete from queue.former_key f where f.task_id = any(p_ids);
end $$;

-- As before, but a task also takes its keys in `hold` again, and stays dead when another has one. `taken`: who stays dead because of a key.
drop function queue.revive(bigint[], boolean, boolean);
create function queue.revive(p_ids bigint[], p_below boolean, p_force boolean, out revived bigint[], out ring text[], out taken bigint[]) language plpgsql as $$
declare
    lost bigint[]; family bigint[];
begin
    revived := p_ids;
    taken := '{}';
    if p_below then
        revived := revived || array(select queue.dead_below(p_ids));
    end if;
    -- Of two that want the same task back the second finds nothing. What dies after this look is not meant.
    revived := array(select l.id from (
        select id from queue.task_history where id = any(revived) and state in (6, 7) order by id for update) l);
    -- Parents that are in the queue stay there until this transaction ends. They come before the keys, as in a batch.
    family := array(select distinct p from queue.task_history h, unnest(h.parents) p where h.id = any(revived));
    perform queue.expect(array(select unnest(family) except select unnest(revived)));
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
                where exists (select from queue.task_history d where d.id = p.id and d.state in (6, 7))
                  and not exists (select from member o where o.id = p.id)
                group by m.id)
            select array_agg(m.id) into lost from member m join held on held.id = m.id
            where not (p_force and m.id = any(p_ids))
              and (held.needs_it or m.need > cardinality(array_positions(m.parent_rules, 2::smallint)) - held.counted);
            exit when lost is null;
        end if;
        revived := array(select unnest(revived) except select unnest(lost));
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

-- As before, with a deadline. One that is replaced gets the deadline of the new task, or none, as in Rust.
drop function queue.enqueue(text, text, json, integer, integer, timestamptz, interval, text, text, interval, text, text, text, integer, interval);
create function queue.enqueue(
    kind text, queue text, payload json,
    version integer default 1, priority integer default 0, run_at timestamptz default null, delay interval default null,
    unique_key text default null, unique_for text default 'queued', unique_period interval default null, on_conflict text default 'skip',
    group_key text default null, share_key text default null, max_attempts integer default null, timeout interval default null,
    deadline timestamptz default null,
    out id bigint, out existed boolean)
language plpgsql as $$
#variable_conflict use_column
declare
    size     bigint := octet_length(enqueue.payload::text);
    span     smallint := array_position(array['queued', 'waiting', 'within', 'once_per'], enqueue.unique_for) - 1;
    at       timestamptz := coalesce(enqueue.run_at, now() + enqueue.delay, now());
    ms       bigint := extract(epoch from enqueue.timeout) * 1000;
    period   bigint := coalesce(extract(epoch from enqueue.unique_period) * 1000, 0);
    had      bigint;
    replaced bigint[];
begin
    if enqueue.kind is null or enqueue.queue is null or enqueue.payload is null then
        raise 'enqueue: kind, queue and payload are needed' using errcode = 'null_value_not_allowed';
    elsif size > 65536 then
        raise 'enqueue: the payload of a % task has % bytes, allowed are 65536; store it elsewhere and pass its key', enqueue.kind, size
            using errcode = 'invalid_parameter_value';
    elsif enqueue.version is null or enqueue.priority is null
          or enqueue.version not between 1 and 32767 or enqueue.priority not between -32768 and 32767
          or enqueue.max_attempts not between 1 and 32767 or ms not between 1 and 2147483647 then
        raise 'enqueue: version, priority, max_attempts or timeout of a % task is out of range', enqueue.kind using errcode = 'invalid_parameter_value';
    elsif enqueue.run_at is not null and enqueue.delay is not null then
        raise 'enqueue: a % task was given run_at and delay; one of them is enough', enqueue.kind using errcode = 'invalid_parameter_value';
    -- Programs in Rust know no later years, and no infinity.
    elsif at not between '4000-01-01 BC' and '200000-01-01' or enqueue.deadline not between '4000-01-01 BC' and '200000-01-01' then
        raise 'enqueue: the start or the deadline of a % task is no moment that it could come to', enqueue.kind using errcode = 'invalid_parameter_value';
    elsif span is null or enqueue.on_conflict is null or enqueue.on_conflict not in ('skip', 'replace', 'report') then
        raise 'enqueue: unique_for is queued, waiting, within or once_per; on_conflict is skip, replace or report' using errcode = 'invalid_parameter_value';
    elsif (span >= 2) <> (period > 0) then
        raise 'enqueue: unique_period belongs to unique_for within and once_per, and is longer than nothing' using errcode = 'invalid_parameter_value';
    end if;
    id := nextval('queue.task_id');
    if enqueue.unique_key is not null and span > 0 then
        select k.holder into had from queue.take_keys(array[enqueue.kind], array[enqueue.unique_key], array[id], array[span], array[period]) k;
    end if;
    -- A key can be given up between the refused insert and the look-up.
    for try in 1 .. 5 loop
        exit when had is not null;
        insert into queue.task (id, kind, queue, payload, version, priority, run_at, state, unique_key, group_key, share_key, max_attempts, timeout_ms, expires_at)
        values (enqueue.id, enqueue.kind, enqueue.queue, enqueue.payload, enqueue.version, enqueue.priority, at, case when at > now() then 1 else 0 end,
                case when span = 0 then enqueue.unique_key end, enqueue.group_key, enqueue.share_key, enqueue.max_attempts, ms, enqueue.deadline)
        on conflict (kind, unique_key) where unique_key is not null do nothing;
        if found then
            existed := false;
            return;
        end if;
        select t.id into had from queue.task t where t.kind = enqueue.kind and t.unique_key = enqueue.unique_key;
    end loop;
    if had is null then
        raise 'enqueue: the key "%" of % tasks changes hands too often', enqueue.unique_key, enqueue.kind using errcode = 'serialization_failure';
    elsif enqueue.on_conflict = 'report' then
        raise 'enqueue: the key "%" of % tasks is held by task %', enqueue.unique_key, enqueue.kind, had using errcode = 'unique_violation';
    elsif enqueue.on_conflict = 'replace' then
        replaced := array(select r.id from queue.replace(
            array[had], array[enqueue.payload::text], array[enqueue.version::smallint], array[enqueue.priority::smallint], array[at], array[0::bigint]) r);
        update queue.task t set expires_at = enqueue.deadline where t.id = any(replaced) and t.expires_at is distinct from enqueue.deadline;
    end if;
    id := had;
    existed := true;
end $$;

-- As before, but by time and for longer: on a machine that is busy a commit keeps its locks for more than a second, and who waits
-- with others in hand can be part of a deadlock.
create or replace function queue.lock_all(p_ids bigint[], p_below boolean) returns void language plpgsql as $$
declare
    since timestamptz := clock_timestamp(); pause double precision := 0.001;
begin
    while clock_timestamp() < since + interval '5 seconds' loop
        begin
            perform from queue.task t where t.id in (
                with recursive below (id) as (
                    select unnest(p_ids)
                    union select e.child from queue.edge e join below b on e.parent = b.id where p_below)
                select b.id from below b) for update nowait;
            return;
        exception when lock_not_available then
            -- The block is undone, and with it the locks that it got.
            perform pg_sleep(random() * pause);
            pause := least(pause + 0.001, 0.04);
        end;
    end loop;
    perform from queue.task t where t.id in (
        with recursive below (id) as (
            select unnest(p_ids)
            union select e.child from queue.edge e join below b on e.parent = b.id where p_below)
        select b.id from below b) order by t.state = 3, t.id for update;
end $$;

-- Ends these of the waiting tasks whose deadline has passed, and waits for nobody: when somebody holds one of them, or one that
-- waits for it, it fails, and the caller tries each alone.
create function queue.expire_tasks(p_ids bigint[], out ended bigint[], out ring text[]) language plpgsql as $$
begin
    perform from queue.task t where t.id in (
        with recursive below (id) as (
            select unnest(p_ids)
            union select e.child from queue.edge e join below b on e.parent = b.id)
        select b.id from below b) for update nowait;
    ended := array(select id from queue.task where id = any(p_ids) and state <> 4 and expires_at <= now());
    delete from queue.edge where child = any(ended);
    perform queue.bury(ended, 6::smallint, null, 'deadline', 'it was not done by its deadline', null);
    ring := queue.settle(ended, 6::smallint);
end $$;
create or replace function queue.expire(p_limit integer, out ended bigint[], out ring text[]) language sql as $$
    select e.ended, e.ring from queue.expire_tasks(
        array(select id from queue.task where expires_at <= now() and worker_id is null order by expires_at limit p_limit)) e
$$;

-- Partitions of the history and of the runs that are older than this as a whole, the oldest first.
create function queue.old_partitions(p_age interval) returns setof text language sql stable as $$
    select format('queue.%I', c.relname)
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent in ('queue.task_history'::regclass, 'queue.run'::regclass)
      and substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \(''([^'']+)''\)')::timestamptz <= now() - p_age
    order by substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \(''([^'']+)''\)')::timestamptz, c.relname
$$;

-- Drops one of them. It needs the whole table for a moment: as long as it waits for a reader, the completions behind it wait too.
-- So it waits 50 ms and fails. False: it is not there any more.
create function queue.drop_old(p_partition text, p_age interval) returns boolean language plpgsql set lock_timeout = '50ms' as $$
begin
    if p_partition not in (select queue.old_partitions(p_age)) then return false; end if;
    execute format('drop table %s', p_partition);
    return true;
end $$;
