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
