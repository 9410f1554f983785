-- Unique keys that are held for a period or given up early, and enqueuing from plain SQL.

-- Who has a key that is held otherwise than "while the task is in the queue" (that is queue.task.unique_key and its index, as before).
-- It does not look at the history to know a period, so it holds also when the history has been dropped. Swept after `until`.
create table queue.hold (
    kind    text        collate "C" not null,
    key     text        collate "C" not null,
    task_id bigint      not null,
    until   timestamptz not null,
    primary key (kind, key)
);
create index hold_until on queue.hold (until);

-- The unique key of a payload: the same for payloads that are the same JSON, in whatever order and spacing.
create function queue.payload_key(payload json) returns text language sql stable as $$
    select 'sha256:' || encode(sha256(convert_to(payload::jsonb::text, 'UTF8')), 'hex')
$$;

-- Takes keys for tasks that are about to be inserted under these numbers; the caller sorts them by key. Returns those that are taken, and by whom.
-- Spans: 1 while the holder waits to run, 2 for the period and while the holder is in the queue, 3 until the end of the running period.
-- In 2 and 3 a holder that failed or was canceled gives the key up. In 1 the holder is locked: it starts only after the caller's commit.
create function queue.take_keys(p_kinds text[], p_keys text[], p_ids bigint[], p_spans smallint[], p_periods_ms bigint[])
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
            period := p_periods_ms[i] * interval '1 millisecond';
            new_until := case p_spans[i] when 3 then date_bin(period, now(), timestamptz 'epoch') + period else now() + period end;
            update queue.hold h set task_id = p_ids[i], until = new_until where h.kind = p_kinds[i] and h.key = p_keys[i];
        end if;
    end loop;
end $$;

-- Gives tasks that have not begun other work: new payloads with all attempts. One that runs or is parked has begun and is left as it is.
-- Of several for one task the last counts. Returns what was replaced, and the queue where that is ready.
create function queue.replace(p_ids bigint[], p_payloads text[], p_versions smallint[], p_priorities smallint[], p_run_at timestamptz[], p_delays_ms bigint[])
returns table (id bigint, ready_in text) language plpgsql as $$
begin
    perform from queue.task t where t.id = any(p_ids) and t.state in (0, 1, 3) order by t.id for update;
    return query
        with given as (
            select distinct on (u.id) u.id, u.payload, u.version, u.priority,
                   coalesce(u.run_at, now() + u.delay_ms * interval '1 millisecond') as run_at
            from unnest(p_ids, p_payloads, p_versions, p_priorities, p_run_at, p_delays_ms)
                 with ordinality as u(id, payload, version, priority, run_at, delay_ms, ord)
            order by u.id, u.ord desc)
        update queue.task t
        set payload = g.payload::json, version = g.version, priority = g.priority, run_at = g.run_at, attempt = 0, why = null, last_error = null,
            state = case when t.state = 3 then 3 when g.run_at > now() then 1 else 0 end
        from given g
        where t.id = g.id and t.state in (0, 1, 3)
        returning t.id, case when t.state = 0 then t.queue end;
end $$;

-- One task, for programs in any language. Like the Rust API it does not ring: `queue.ring(name)` after the commit, else polling finds the task.
create function queue.enqueue(
    kind text, queue text, payload json,
    version integer default 1, priority integer default 0, run_at timestamptz default null, delay interval default null,
    unique_key text default null, unique_for text default 'queued', unique_period interval default null, on_conflict text default 'skip',
    group_key text default null, share_key text default null, max_attempts integer default null, timeout interval default null,
    out id bigint, out existed boolean)
language plpgsql as $$
#variable_conflict use_column
declare
    size   bigint := octet_length(enqueue.payload::text);
    span   smallint := array_position(array['queued', 'waiting', 'within', 'once_per'], enqueue.unique_for) - 1;
    at     timestamptz := coalesce(enqueue.run_at, now() + enqueue.delay, now());
    ms     bigint := extract(epoch from enqueue.timeout) * 1000;
    period bigint := coalesce(extract(epoch from enqueue.unique_period) * 1000, 0);
    had    bigint;
begin
    if enqueue.kind is null or enqueue.queue is null or enqueue.payload is null then
        raise 'enqueue: kind, queue and payload are needed' using errcode = 'null_value_not_allowed';
    elsif size > 65536 then
        raise 'enqueue: the payload of a % task has % bytes, allowed are 65536; store it elsewhere and pass its key', enqueue.kind, size
            using errcode = 'invalid_parameter_value';
    elsif enqueue.version not between 1 and 32767 or enqueue.priority not between -32768 and 32767
          or enqueue.max_attempts not between 1 and 32767 or ms not between 1 and 2147483647 then
        raise 'enqueue: version, priority, max_attempts or timeout of a % task is out of range', enqueue.kind using errcode = 'invalid_parameter_value';
    elsif enqueue.run_at is not null and enqueue.delay is not null then
        raise 'enqueue: a % task was given run_at and delay; one of them is enough', enqueue.kind using errcode = 'invalid_parameter_value';
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
        insert into queue.task (id, kind, queue, payload, version, priority, run_at, state, unique_key, group_key, share_key, max_attempts, timeout_ms)
        values (enqueue.id, enqueue.kind, enqueue.queue, enqueue.payload, enqueue.version, enqueue.priority, at, case when at > now() then 1 else 0 end,
                case when span = 0 then enqueue.unique_key end, enqueue.group_key, enqueue.share_key, enqueue.max_attempts, ms)
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
        perform queue.replace(array[had], array[enqueue.payload::text], array[enqueue.version::smallint], array[enqueue.priority::smallint], array[at], array[0::bigint]);
    end if;
    id := had;
    existed := true;
end $$;
