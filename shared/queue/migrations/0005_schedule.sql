-- Retention by partition, and schedules.

-- To attach a partition Postgres waits for whoever reads the default one, and everybody who comes later waits behind it. Better to give up and come again.
alter function queue.make_partitions(integer) set lock_timeout = '100ms';

-- Drops one partition of the history or of the runs that is older than this as a whole, and returns its name; null when there is none.
-- It needs the whole table for a moment: as long as it waits for a reader, the completions behind it wait too. So it waits 50 ms and fails.
create function queue.drop_partition(p_age interval) returns text language plpgsql set lock_timeout = '50ms' as $$
declare
    part text;
begin
    select format('queue.%I', c.relname) into part
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent in ('queue.task_history'::regclass, 'queue.run'::regclass)
      and substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \(''([^'']+)''\)')::timestamptz <= now() - p_age
    order by c.relname limit 1;
    if part is not null then
        execute format('drop table %s', part);
    end if;
    return part;
end $$;

-- Tasks that are enqueued again and again. `next_at` is a planned moment: what fires is exactly it, however late.
create table queue.schedule (
    name          text        collate "C" primary key,
    created_at    timestamptz not null default now(),
    next_at       timestamptz,
    last_at       timestamptz,
    last_task     bigint,
    paused_at     timestamptz,
    every_ms      bigint,
    missed_at_most integer    not null,
    max_attempts  smallint,
    timeout_ms    integer,
    version       smallint    not null,
    priority      smallint    not null,
    missed        smallint    not null,
    overlap       boolean     not null,
    cron          text,
    zone          text,
    kind          text        collate "C" not null,
    queue         text        collate "C" not null,
    group_key     text        collate "C",
    share_key     text        collate "C",
    planned_field text,
    fault         text,
    payload       json        not null,
    constraint schedule_timing check ((cron is null) = (zone is null) and (cron is null) <> (every_ms is null) and every_ms > 0),
    constraint schedule_missed check (missed between 0 and 2 and missed_at_most > 0)
);
create index schedule_due on queue.schedule (next_at) where paused_at is null;
comment on column queue.schedule.missed is '0 skip, 1 once, 2 all, at most missed_at_most';
insert into queue.duty (name) values ('schedule');
