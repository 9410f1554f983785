-- A CHECK is parsed again by every statement that writes the table: four of them were half of what a single insert cost (23 us
-- of server time, 11 us without, 15 us with this one). So one short CHECK guards what a mistake would make dangerous, and a
-- view shows every row that is not as it must be; it must always be empty.
alter table queue.task
    drop constraint task_state, drop constraint task_blocked, drop constraint task_lease, drop constraint task_counters,
    add constraint task_sound check (
        case state when 4 then worker_id is not null when 3 then waits > 0 else waits = 0 and worker_id is null end);

create view queue.violation (task_id, what) as
select id, 'state' from queue.task where state not between 0 and 4
union all
select id, 'lease' from queue.task
where case when state = 4 then lease_token is null or worker_id is null or claimed_at is null or deadline_at is null
           else worker_id is not null or claimed_at is not null or deadline_at is not null or cancel_why is not null or wake end
union all
select id, 'counter' from queue.task where attempt < 0 or parks < 0 or max_attempts <= 0 or timeout_ms <= 0 or (state = 3) <> (waits > 0)
union all
select t.id, 'edges' from queue.task t
left join (select child, count(*) as edges from queue.edge group by child) e on e.child = t.id
where t.waits <> coalesce(e.edges, 0)
union all
select e.child, 'edge of a task that has ended' from queue.edge e left join queue.task t on t.id = e.child where t.id is null
union all
select e.parent, 'edge from a task that has ended' from queue.edge e left join queue.task t on t.id = e.parent where t.id is null
union all
select t.id, 'worker' from queue.task t left join queue.worker w on w.id = t.worker_id where t.worker_id is not null and w.id is null
union all
select t.id, 'in the queue and in the history' from queue.task t join queue.task_history h on h.id = t.id;
