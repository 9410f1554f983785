-- Order of claims, and limits of queues.

-- A point of priority is a head start of one minute: whatever has waited long enough goes before what is more important, so
-- that nothing starves, and the order of two tasks never changes while they wait.
create function queue.rank(run_at timestamptz, priority smallint) returns double precision language sql immutable parallel safe as $$
    select date_part('epoch', run_at - timestamptz '2000-01-01 00:00:00+00') - 60.0 * priority
$$;
create index task_order on queue.task (queue, queue.rank(run_at, priority), id) where state = 0;
drop index queue.task_ready;
-- The same within a share, for queues that look at shares.
create index task_share on queue.task (queue, share_key, queue.rank(run_at, priority), id) where state = 0 and share_key is not null;

-- `limited` queues are claimed by queue.claim_limited, one claim at a time; all others by one plain statement.
-- Rate: `rate_tasks` in each `rate_period_ms`, at most `rate_burst` at once; `rate_next` is the theoretical arrival time of GCRA.
-- `virtual_time`: how far the service of the shares has come, in tasks per weight.
alter table queue.queue
    add column max_running           integer check (max_running >= 0),
    add column max_running_per_share integer check (max_running_per_share >= 0),
    add column fair                  boolean not null default false,
    add column rate_tasks            integer check (rate_tasks > 0),
    add column rate_period_ms        bigint check (rate_period_ms > 0),
    add column rate_burst            integer check (rate_burst > 0),
    add column rate_next             timestamptz,
    add column virtual_time          double precision not null default 0,
    add column limited               boolean not null generated always as
        (max_running is not null or max_running_per_share is not null or fair or rate_tasks is not null) stored,
    add constraint queue_rate check ((rate_tasks is null) = (rate_period_ms is null) and (rate_tasks is null) = (rate_burst is null));
alter table queue.queue set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- What is said of a share of a queue, and what it has had: `served` in tasks per weight. A row that says nothing and lies behind
-- the queue's virtual time is as good as none.
create table queue.share (
    queue       text             collate "C" not null,
    share_key   text             collate "C" not null,
    weight      double precision not null default 1 check (weight > 0),
    max_running integer          check (max_running >= 0),
    served      double precision not null default 0,
    primary key (queue, share_key)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- Which tasks of a limited queue are next, at most p_limit. The caller holds the queue's row, so nobody else decides meanwhile.
-- A task without a share key takes what its place in the queue gives it, as if each were a share of its own.
create function queue.pick_by_share(p_queue text, p_limit integer, p_fair boolean, p_max integer, p_virtual double precision)
returns table (id bigint, share_key text, start_at double precision) language sql as $$
    with recursive present (share_key) as (
        (select t.share_key from queue.task t where t.queue = p_queue and t.state = 0 and t.share_key is not null order by t.share_key limit 1)
        union all
        select (select t.share_key from queue.task t
                where t.queue = p_queue and t.state = 0 and t.share_key > p.share_key order by t.share_key limit 1)
        from present p where p.share_key is not null),
    busy as (
        select t.share_key, count(*)::integer as running from queue.task t
        where t.worker_id is not null and t.queue = p_queue and t.share_key is not null group by 1),
    shares as (
        select p.share_key, coalesce(s.weight, 1) as weight, greatest(coalesce(s.served, 0), p_virtual) as served,
               least(p_limit, coalesce(s.max_running, p_max, p_limit) - case when coalesce(s.max_running, p_max) is null then 0 else coalesce(b.running, 0) end) as room
        from present p
        left join queue.share s on s.queue = p_queue and s.share_key = p.share_key
        left join busy b on b.share_key = p.share_key
        where p.share_key is not null),
    offered as (
        select c.id, s.share_key, c.rank, s.served + (c.n - 1) / s.weight as start_at
        from shares s
        cross join lateral (
            select t.id, queue.rank(t.run_at, t.priority) as rank, row_number() over (order by queue.rank(t.run_at, t.priority), t.id) as n
            from queue.task t
            where t.queue = p_queue and t.state = 0 and t.share_key = s.share_key
            order by queue.rank(t.run_at, t.priority), t.id limit greatest(s.room, 0)) c
        union all
        select f.id, null, f.rank, p_virtual
        from (select t.id, t.share_key, queue.rank(t.run_at, t.priority) as rank from queue.task t
              where t.queue = p_queue and t.state = 0 order by queue.rank(t.run_at, t.priority), t.id limit p_limit) f
        where f.share_key is null)
    select o.id, o.share_key, o.start_at from offered o
    order by case when p_fair then o.start_at end, o.rank, o.id limit p_limit
$$;

-- What to claim from a limited queue, and in how many milliseconds its rate allows more, if that is what it waits for.
-- Locks the queue's row: one process at a time decides.
create function queue.pick_limited(p_queue text, p_limit integer, out ids bigint[], out again_ms bigint) language plpgsql as $$
declare
    q queue.queue; room integer := p_limit; step interval; next_at timestamptz; allowed integer;
begin
    select * into q from queue.queue where name = p_queue for update;
    if not found or q.paused_at is not null then return; end if;
    if q.max_running is not null then
        room := least(room, q.max_running - (select count(*)::integer from queue.task t where t.worker_id is not null and t.queue = p_queue));
    end if;
    if q.rate_tasks is not null then
        step := make_interval(secs => q.rate_period_ms / 1000.0 / q.rate_tasks);
        next_at := greatest(q.rate_next, clock_timestamp());
        allowed := 1 + floor(extract(epoch from clock_timestamp() + (q.rate_burst - 1) * step - next_at) / extract(epoch from step));
        if allowed < room then
            again_ms := ceil(1000 * extract(epoch from next_at + (greatest(allowed, 0) + 1 - q.rate_burst) * step - clock_timestamp()));
            room := allowed;
        end if;
    end if;
    if room <= 0 then return; end if;
    if q.fair or q.max_running_per_share is not null or exists (select from queue.share s where s.queue = p_queue and s.max_running is not null) then
        with picked as materialized (select * from queue.pick_by_share(p_queue, room, q.fair, q.max_running_per_share, q.virtual_time)),
        held as materialized (
            select t.id from queue.task t where t.id in (select p.id from picked p) and t.state = 0 order by t.id for update skip locked),
        got as (
            select p.id, p.share_key, p.start_at, coalesce(s.weight, 1) as weight
            from picked p join held h on h.id = p.id left join queue.share s on s.queue = p_queue and s.share_key = p.share_key),
        served as (
            insert into queue.share as s (queue, share_key, served)
            select p_queue, g.share_key, max(g.start_at + 1 / g.weight) from got g where q.fair and g.share_key is not null group by g.share_key
            on conflict on constraint share_pkey do update set served = excluded.served),
        moved as (
            update queue.queue set virtual_time = (select max(g.start_at) from got g) where name = p_queue and q.fair and exists (select from got))
        select array_agg(g.id) into ids from got g;
    else
        select array_agg(p.id) into ids from (
            select t.id from queue.task t where t.queue = p_queue and t.state = 0
            order by queue.rank(t.run_at, t.priority), t.id limit room for update skip locked) p;
    end if;
    if q.rate_tasks is not null and ids is not null then
        update queue.queue set rate_next = next_at + cardinality(ids) * step where name = p_queue;
    end if;
end $$;
