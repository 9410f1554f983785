-- The queue's own schema. Nothing outside this crate reads or writes these tables directly.
-- States: 0 ready, 1 scheduled, 2 parked, 3 blocked, 4 running | 5 succeeded, 6 failed, 7 canceled (history only).

create sequence queue.task_id as bigint;
-- One sequence for every claim of every task: a token never repeats, even for a task that leaves and re-enters the hot table.
create sequence queue.lease_token as bigint;

-- HOT: only tasks that are not final. Rows leave when they are, so its size does not depend on the past.
create table queue.task (
    id            bigint      primary key default nextval('queue.task_id'),
    created_at    timestamptz not null default now(),
    run_at        timestamptz not null default now(),
    claimed_at    timestamptz,
    deadline_at   timestamptz,
    lease_token   bigint,
    worker_id     bigint,
    timeout_ms    integer,
    waits         integer     not null default 0,
    parks         integer     not null default 0,
    state         smallint    not null,
    priority      smallint    not null default 0,
    version       smallint    not null default 1,
    attempt       smallint    not null default 0,
    max_attempts  smallint,
    has_children  boolean     not null default false,
    wake          boolean     not null default false,
    queue         text        collate "C" not null,
    kind          text        collate "C" not null,
    group_key     text        collate "C",
    share_key     text        collate "C",
    unique_key    text        collate "C",
    why           text,
    cancel_why    text,
    last_error    text,
    payload       json        not null,
    constraint task_state check (state between 0 and 4),
    constraint task_blocked check ((state = 3) = (waits > 0) and waits >= 0),
    constraint task_lease check (
        case when state = 4
             then lease_token is not null and worker_id is not null and claimed_at is not null and deadline_at is not null
             else worker_id is null and claimed_at is null and deadline_at is null and cancel_why is null and not wake end),
    constraint task_counters check (attempt >= 0 and parks >= 0 and (max_attempts is null or max_attempts > 0) and (timeout_ms is null or timeout_ms > 0))
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.2, autovacuum_analyze_threshold = 5000,
        autovacuum_vacuum_insert_scale_factor = 0.2);
alter sequence queue.task_id owned by queue.task.id;

create index task_ready on queue.task (queue, priority desc, run_at, id) where state = 0;
create index task_due on queue.task (run_at) where state in (1, 2);
-- Not "where state = 4": then the planner would take it for the completions, which look rows up by id.
create index task_running on queue.task (worker_id) where worker_id is not null;
create index task_group on queue.task (group_key) where group_key is not null;
create unique index task_unique on queue.task (kind, unique_key) where unique_key is not null;

-- `child` starts when its last edge is gone. `run_anyway`: a parent that fails or is canceled only lowers the counter.
create table queue.edge (
    parent     bigint  not null,
    child      bigint  not null,
    run_anyway boolean not null,
    primary key (parent, child),
    check (parent <> child)
) with (autovacuum_vacuum_scale_factor = 0.05);
create index edge_child on queue.edge (child);

-- COLD: one row per task that ended, with the last run of it. Pruned by dropping partitions.
create table queue.task_history (
    id           bigint      not null,
    finished_at  timestamptz not null,
    created_at   timestamptz not null,
    run_at       timestamptz not null,
    started_at   timestamptz,
    lease_token  bigint,
    worker_id    bigint,
    parks        integer     not null,
    state        smallint    not null check (state in (5, 6, 7)),
    priority     smallint    not null,
    version      smallint    not null,
    attempt      smallint    not null,
    max_attempts smallint,
    timeout_ms   integer,
    queue        text        collate "C" not null,
    kind         text        collate "C" not null,
    group_key    text        collate "C",
    share_key    text        collate "C",
    unique_key   text        collate "C",
    why          text,
    error_class  text,
    error        text,
    payload      json        not null,
    output       json,
    primary key (id, finished_at)
) partition by range (finished_at);
create index task_history_group on queue.task_history (group_key) where group_key is not null;
create index task_history_dead on queue.task_history (queue, finished_at) where state = 6;

-- Runs that ended other than by park and are not the last run of a history row: retries, rescues, refused completions.
create table queue.run (
    task_id     bigint      not null,
    lease_token bigint      not null,
    ended_at    timestamptz not null default now(),
    started_at  timestamptz,
    worker_id   bigint,
    attempt     smallint    not null,
    outcome     smallint    not null check (outcome between 1 and 9),
    counted     boolean     not null,
    error_class text,
    error       text
) partition by range (ended_at);
create index run_task on queue.run (task_id);
comment on column queue.run.outcome is
    '1 done, 2 retry, 3 failed, 4 canceled, 5 handed back, 6 rescued (lease), 7 rescued (deadline), 8 refused (stale token), 9 timed out or panicked';

create table queue.worker (
    id          bigint      generated always as identity primary key,
    name        text        not null,
    host        text        not null,
    pid         integer     not null,
    slots       jsonb       not null,
    started_at  timestamptz not null default now(),
    beat_at     timestamptz not null default now(),
    lease_until timestamptz not null,
    stopped_at  timestamptz,
    dead_at     timestamptz
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

create table queue.queue (
    name       text        collate "C" primary key,
    paused_at  timestamptz,
    paused_why text,
    check ((paused_at is null) = (paused_why is null))
);

-- Work that one process does for all: who takes the row first within the interval does it.
create table queue.duty (
    name    text        primary key,
    done_at timestamptz not null default '-infinity'
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
insert into queue.duty (name) values ('reap'), ('partitions');
