-- What parents, deadlines, retries and progress need. All of it is null or empty for tasks that do not use it.

-- `parents` has every task that this one ever waited for, in the order in which they were named; `parent_rules` the rule of each:
-- 0 a failure cancels this task, 1 it runs anyway, 2 the failure is counted. Of the counted ones at least `need` must succeed;
-- `spare` says how many more may fail.
alter table queue.task
    add column expires_at   timestamptz,
    add column parents      bigint[],
    add column parent_rules smallint[],
    add column need         integer,
    add column spare        integer,
    add constraint task_family check (cardinality(parents) = cardinality(parent_rules) and spare >= 0);
create index task_expires on queue.task (expires_at) where expires_at is not null;

alter table queue.edge add column counts boolean not null default false;
comment on column queue.edge.counts is 'with run_anyway: a failure of the parent uses up one of the spare failures of the child';

alter table queue.task_history
    add column expires_at   timestamptz,
    add column parents      bigint[],
    add column parent_rules smallint[],
    add column need         integer;
-- A task that was canceled because of a parent has the class 'parent': only these are looked up by their parents, so only these pay.
create index task_history_orphans on queue.task_history using gin (parents) with (fastupdate = off)
    where state = 7 and error_class = 'parent';
create index task_history_dead_newest on queue.task_history (finished_at, id) where state = 6;

-- 10: not a run; the task came back from the history.
alter table queue.run drop constraint run_outcome_check;
alter table queue.run add constraint run_outcome_check check (outcome between 1 and 10);
comment on column queue.run.outcome is
    '1 done, 2 retry, 3 failed, 4 canceled, 5 handed back, 6 rescued (lease), 7 rescued (deadline), 8 refused (stale token), 9 timed out or panicked, 10 no run: brought back from the history';

-- How far a running task is, by its own account. Apart from the task, whose row is hot.
create table queue.progress (
    task_id     bigint      primary key,
    lease_token bigint      not null,
    updated_at  timestamptz not null default now(),
    percent     smallint    not null check (percent between 0 and 100),
    note        text        not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

insert into queue.duty (name) values ('expire');
