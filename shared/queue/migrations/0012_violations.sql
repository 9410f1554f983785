-- Rows that are not as they must be, also for a part of the tasks: in a queue of any length some are looked at each minute, and all of
-- them after a while. The words are those of before, and one more.
create function queue.violations(p_from bigint, p_to bigint) returns table (task_id bigint, what text) language sql stable as $$
    select id, 'state' from queue.task where id between p_from and p_to and state not between 0 and 4
    union all
    select id, 'lease' from queue.task
    where id between p_from and p_to
      and case when state = 4 then lease_token is null or worker_id is null or claimed_at is null or deadline_at is null
               else worker_id is not null or claimed_at is not null or deadline_at is not null or cancel_why is not null or wake end
    union all
    select id, 'counter' from queue.task
    where id between p_from and p_to and (attempt < 0 or parks < 0 or max_attempts <= 0 or timeout_ms <= 0 or (state = 3) <> (waits > 0))
    union all
    select id, 'family' from queue.task
    where id between p_from and p_to and (cardinality(parents) <> cardinality(parent_rules) or (parents is null) <> (parent_rules is null) or spare < 0)
    union all
    select t.id, 'edges' from queue.task t
    left join (select child, count(*) as edges from queue.edge where child between p_from and p_to group by child) e on e.child = t.id
    where t.id between p_from and p_to and t.waits <> coalesce(e.edges, 0)
    union all
    select t.id, 'nothing that it waits for is left' from queue.task t
    where t.id between p_from and p_to and t.state = 3
      and not exists (select from queue.edge e join queue.task p on p.id = e.parent where e.child = t.id)
    union all
    select e.child, 'edge of a task that has ended' from queue.edge e left join queue.task t on t.id = e.child
    where e.child between p_from and p_to and t.id is null
    union all
    select e.parent, 'edge from a task that has ended' from queue.edge e left join queue.task t on t.id = e.parent
    where e.parent between p_from and p_to and t.id is null
    union all
    select t.id, 'worker' from queue.task t left join queue.worker w on w.id = t.worker_id
    where t.id between p_from and p_to and t.worker_id is not null and w.id is null
    union all
    select t.id, 'in the queue and in the history' from queue.task t join queue.task_history h on h.id = t.id
    where t.id between p_from and p_to
$$;

create or replace view queue.violation (task_id, what) as
select v.task_id, v.what from queue.violations(-9223372036854775808, 9223372036854775807) v;
