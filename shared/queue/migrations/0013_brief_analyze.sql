-- An ANALYZE of the history holds a snapshot, and while it does no dead row of the hot table can be cleared away: claims read past
-- all that a second or two leave. A tenth of the sample takes a tenth of the time, and the plans of the history need no more.
create function queue.sample_little(p_table regclass) returns void language plpgsql as $$
begin
    execute (select format('alter table %s %s', p_table, string_agg(format('alter column %I set statistics 10', attname), ', '))
             from pg_attribute where attrelid = p_table and attnum > 0 and not attisdropped);
end $$;

select queue.sample_little(inhrelid) from pg_inherits where inhparent in ('queue.task_history'::regclass, 'queue.run'::regclass);

create or replace function queue.make_partitions(ahead integer) returns void language plpgsql set lock_timeout = '100ms' as $$
declare
    base text; col text; part text; lo timestamptz; hi timestamptz; fallback text;
begin
    foreach base in array array['task_history', 'run'] loop
        col := case base when 'run' then 'ended_at' else 'finished_at' end;
        fallback := base || '_default';
        if to_regclass('queue.' || fallback) is null then
            execute format('create table queue.%I partition of queue.%I default', fallback, base);
            perform queue.sample_little(format('queue.%I', fallback)::regclass);
        end if;
        for i in 0..ahead loop
            lo := (date_trunc('month', now() at time zone 'UTC') + make_interval(months => i)) at time zone 'UTC';
            hi := (date_trunc('month', now() at time zone 'UTC') + make_interval(months => i + 1)) at time zone 'UTC';
            part := base || '_' || to_char(lo at time zone 'UTC', 'YYYY_MM');
            continue when to_regclass('queue.' || part) is not null;
            execute format('create table queue.%I (like queue.%I including defaults including constraints)', part, base);
            perform queue.sample_little(format('queue.%I', part)::regclass);
            execute format('with moved as (delete from queue.%I where %I >= %L and %I < %L returning *) insert into queue.%I select * from moved',
                           fallback, col, lo, col, hi, part);
            execute format('alter table queue.%I attach partition queue.%I for values from (%L) to (%L)', base, part, lo, hi);
        end loop;
    end loop;
end $$;
