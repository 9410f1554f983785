-- An ANALYZE of the history holds a snapshot, and while it does no dead row of the hot table can be cleared away: claims read past
-- all that a second or two leave. A tenth of the sample takes a tenth of the time, and the plans of the history need no more.
-- No partition inherits this from its parent, so it is said of each one that is new.
create function queue.sample_little() returns void language plpgsql set lock_timeout = '100ms' as $$
declare
    wish text;
begin
    for wish in
        select format('alter table %s %s', attrelid::regclass, string_agg(format('alter column %I set statistics 10', attname), ', '))
        from pg_inherits join pg_attribute on attrelid = inhrelid
        where inhparent in ('queue.task_history'::regclass, 'queue.run'::regclass) and attnum > 0 and not attisdropped
            and attstattarget is distinct from 10
        group by attrelid
    loop
        execute wish;
    end loop;
end $$;
select queue.sample_little();
