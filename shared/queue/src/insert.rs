//! The SQL that puts tasks into the queue, in the caller's transaction.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{
    batch::{Batch, Enqueued, Graph, Parent, Slot, has_cycle},
    bell::Bell,
    error::EnqueueError,
    id::TaskId,
    metrics,
    state::TaskState,
    task::{NewTask, Start},
};

/// A key can be given up between the refused insert and the look-up; then the insert is tried again.
const KEY_TRIES: usize = 5;

fn sql(operation: &'static str) -> impl FnOnce(sqlx::Error) -> EnqueueError {
    move |source| EnqueueError::Sql { operation, source }
}

pub(crate) async fn batch(conn: &mut PgConnection, mut batch: Batch) -> Result<Enqueued, EnqueueError> {
    if batch.tasks.len() == 1
        && batch.is_plain()
        && batch.tasks.iter().all(|task| task.deadline.is_none())
        && let Some(task) = batch.tasks.pop()
    {
        return one(conn, task).await;
    }
    if batch.tasks.is_empty() {
        return Ok(Enqueued { ids: Vec::new(), existing: Vec::new(), bell: Bell::silent() });
    }
    let graph = batch.graph()?;
    let numbers = reserve(conn, batch.tasks.len()).await?;
    let mut ids: Vec<TaskId> = numbers.into_iter().map(TaskId).collect();
    let stand_ins = std::mem::take(&mut batch.stand_ins);
    let mut bell = Bell::silent();
    for (index, task) in batch.tasks.iter().enumerate() {
        if graph.waits[index] == 0 && task.start == Start::Now {
            bell.add(&task.queue);
        }
    }
    let taken = insert_rows(conn, &mut batch.tasks, &graph, &mut ids).await?;
    set_deadlines(conn, &batch.tasks, &ids, &taken).await?;
    bell.merge(connect(conn, &graph, &ids, &taken).await?);
    for (index, old) in stand_ins {
        if !stand_in(conn, ids[index], old).await? {
            return Err(EnqueueError::AlreadyFinal(old));
        }
    }
    metrics::enqueued(
        batch.tasks.iter().enumerate().filter(|(index, _)| !taken.contains(index)).map(|(_, task)| task),
    );
    Ok(Enqueued { ids, existing: taken.into_iter().map(Slot::at).collect(), bell })
}

async fn reserve(conn: &mut PgConnection, count: usize) -> Result<Vec<i64>, EnqueueError> {
    sqlx::query_scalar!(
        r#"select nextval('queue.task_id') as "id!" from generate_series(1, $1::bigint)"#,
        count as i64
    )
    .fetch_all(conn)
    .await
    .map_err(sql("reserving task numbers"))
}

async fn one(conn: &mut PgConnection, mut task: NewTask) -> Result<Enqueued, EnqueueError> {
    let payload = task.checked_payload()?;
    let (delay_ms, run_at) = start(task.start);
    if task.unique_key.is_none() {
        let id = sqlx::query_scalar!(
            "insert into queue.task (queue, kind, payload, version, priority, run_at, state, group_key, share_key, max_attempts, timeout_ms)
             values ($1, $2, ($3::text)::json, $4, $5, coalesce($6, now() + $7 * interval '1 millisecond'),
                     case when coalesce($6, now() + $7 * interval '1 millisecond') > now() then 1 else 0 end, $8, $9, $10, $11)
             returning id",
            &task.queue, &task.kind, payload, task.version, task.priority, run_at, delay_ms as f64,
            task.group_key.as_deref(), task.share_key.as_deref(), task.max_attempts, task.timeout_ms()
        )
        .fetch_one(conn)
        .await
        .map_err(sql("inserting the task"))?;
        return Ok(single(&task, TaskId(id), true));
    }
    for _ in 0..KEY_TRIES {
        let id = sqlx::query_scalar!(
            "insert into queue.task (queue, kind, payload, version, priority, run_at, state, group_key, share_key, max_attempts, timeout_ms, unique_key)
             values ($1, $2, ($3::text)::json, $4, $5, coalesce($6, now() + $7 * interval '1 millisecond'),
                     case when coalesce($6, now() + $7 * interval '1 millisecond') > now() then 1 else 0 end, $8, $9, $10, $11, $12)
             on conflict (kind, unique_key) where unique_key is not null do nothing
             returning id",
            &task.queue, &task.kind, &payload, task.version, task.priority, run_at, delay_ms as f64,
            task.group_key.as_deref(), task.share_key.as_deref(), task.max_attempts, task.timeout_ms(), task.unique_key.as_deref()
        )
        .fetch_optional(&mut *conn)
        .await
        .map_err(sql("inserting the task"))?;
        if let Some(id) = id {
            return Ok(single(&task, TaskId(id), true));
        }
        let holder = sqlx::query_scalar!(
            "select id from queue.task where kind = $1 and unique_key = $2",
            &task.kind,
            task.unique_key.as_deref()
        )
        .fetch_optional(&mut *conn)
        .await
        .map_err(sql("looking up the holder of the unique key"))?;
        if let Some(id) = holder {
            return Ok(single(&task, TaskId(id), false));
        }
    }
    Err(EnqueueError::Sql { operation: "inserting the task", source: sqlx::Error::RowNotFound })
}

fn single(task: &NewTask, id: TaskId, new: bool) -> Enqueued {
    let mut bell = Bell::silent();
    if new {
        metrics::enqueued(std::iter::once(task));
        if task.start == Start::Now {
            bell.add(&task.queue);
        }
    }
    Enqueued { ids: vec![id], existing: if new { Vec::new() } else { vec![Slot::at(0)] }, bell }
}

/// Inserts all rows; tasks whose key is taken get the number of the one that has it, and their indices are returned.
async fn insert_rows(
    conn: &mut PgConnection,
    tasks: &mut [NewTask],
    graph: &Graph,
    ids: &mut [TaskId],
) -> Result<BTreeSet<usize>, EnqueueError> {
    let payloads = tasks.iter_mut().map(NewTask::checked_payload).collect::<Result<Vec<String>, _>>()?;
    let mut order: Vec<usize> = (0..tasks.len()).collect();
    let keyed = tasks.iter().any(|task| task.unique_key.is_some());
    if keyed {
        // Two batches with the same keys wait for each other in one order only.
        order.sort_by(|&a, &b| {
            let key = |index: usize| (&tasks[index].unique_key, &tasks[index].kind, index);
            key(a).cmp(&key(b))
        });
    }
    if !keyed {
        rows(conn, tasks, &payloads, graph, ids, &order, false).await?;
        return Ok(BTreeSet::new());
    }
    let mut taken = BTreeSet::new();
    for _ in 0..KEY_TRIES {
        let made: HashSet<i64> =
            rows(conn, tasks, &payloads, graph, ids, &order, true).await?.into_iter().collect();
        let refused: Vec<usize> =
            order.iter().copied().filter(|&index| !made.contains(&ids[index].0)).collect();
        if refused.is_empty() {
            return Ok(taken);
        }
        let holders = holders(conn, tasks, &refused).await?;
        order.clear();
        for index in refused {
            let holder = tasks[index]
                .unique_key
                .as_deref()
                .and_then(|key| holders.get(&(tasks[index].kind.as_str(), key)));
            match holder {
                Some(&id) => {
                    ids[index] = id;
                    taken.insert(index);
                }
                None => order.push(index),
            }
        }
        if order.is_empty() {
            return Ok(taken);
        }
    }
    Err(EnqueueError::Sql { operation: "inserting the tasks", source: sqlx::Error::RowNotFound })
}

async fn rows(
    conn: &mut PgConnection,
    tasks: &[NewTask],
    payloads: &[String],
    graph: &Graph,
    ids: &[TaskId],
    order: &[usize],
    keyed: bool,
) -> Result<Vec<i64>, EnqueueError> {
    let pick = || order.iter().map(|&index| &tasks[index]);
    let numbers: Vec<i64> = order.iter().map(|&index| ids[index].0).collect();
    let queues: Vec<&str> = pick().map(|task| task.queue.as_str()).collect();
    let kinds: Vec<&str> = pick().map(|task| task.kind.as_str()).collect();
    let payloads: Vec<&str> = order.iter().map(|&index| payloads[index].as_str()).collect();
    let versions: Vec<i16> = pick().map(|task| task.version).collect();
    let priorities: Vec<i16> = pick().map(|task| task.priority).collect();
    let run_at: Vec<Option<DateTime<Utc>>> = pick().map(|task| start(task.start).1).collect();
    let delays: Vec<i64> = pick().map(|task| start(task.start).0).collect();
    let groups: Vec<Option<&str>> = pick().map(|task| task.group_key.as_deref()).collect();
    let shares: Vec<Option<&str>> = pick().map(|task| task.share_key.as_deref()).collect();
    let attempts: Vec<Option<i16>> = pick().map(|task| task.max_attempts).collect();
    let timeouts: Vec<Option<i32>> = pick().map(NewTask::timeout_ms).collect();
    let waits: Vec<i32> = order.iter().map(|&index| graph.waits[index]).collect();
    let parents: Vec<bool> = order.iter().map(|&index| graph.is_parent[index]).collect();
    if !keyed {
        sqlx::query!(
            "insert into queue.task (id, queue, kind, payload, version, priority, run_at, state, group_key, share_key, max_attempts, timeout_ms, waits, has_children)
             select u.id, u.queue, u.kind, u.payload::json, u.version, u.priority, r.run_at,
                    case when u.waits > 0 then 3 when r.run_at > now() then 1 else 0 end,
                    u.group_key, u.share_key, u.max_attempts, u.timeout_ms, u.waits, u.parent
             from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::smallint[], $7::timestamptz[], $8::bigint[],
                         $9::text[], $10::text[], $11::smallint[], $12::integer[], $13::integer[], $14::boolean[])
                  as u(id, queue, kind, payload, version, priority, run_at, delay_ms, group_key, share_key, max_attempts, timeout_ms, waits, parent),
                  lateral (select coalesce(u.run_at, now() + u.delay_ms * interval '1 millisecond') as run_at) r",
            &numbers, &queues as &[&str], &kinds as &[&str], &payloads as &[&str], &versions, &priorities,
            &run_at as &[Option<DateTime<Utc>>], &delays, &groups as &[Option<&str>], &shares as &[Option<&str>],
            &attempts as &[Option<i16>], &timeouts as &[Option<i32>], &waits, &parents
        )
        .execute(conn)
        .await
        .map_err(sql("inserting the tasks"))?;
        return Ok(numbers);
    }
    let keys: Vec<Option<&str>> = pick().map(|task| task.unique_key.as_deref()).collect();
    sqlx::query_scalar!(
        "insert into queue.task (id, queue, kind, payload, version, priority, run_at, state, group_key, share_key, max_attempts, timeout_ms, waits, has_children, unique_key)
         select u.id, u.queue, u.kind, u.payload::json, u.version, u.priority, r.run_at,
                case when u.waits > 0 then 3 when r.run_at > now() then 1 else 0 end,
                u.group_key, u.share_key, u.max_attempts, u.timeout_ms, u.waits, u.parent, u.unique_key
         from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::smallint[], $7::timestamptz[], $8::bigint[],
                     $9::text[], $10::text[], $11::smallint[], $12::integer[], $13::integer[], $14::boolean[], $15::text[])
              as u(id, queue, kind, payload, version, priority, run_at, delay_ms, group_key, share_key, max_attempts, timeout_ms, waits, parent, unique_key),
              lateral (select coalesce(u.run_at, now() + u.delay_ms * interval '1 millisecond') as run_at) r
         on conflict (kind, unique_key) where unique_key is not null do nothing
         returning id",
        &numbers, &queues as &[&str], &kinds as &[&str], &payloads as &[&str], &versions, &priorities,
        &run_at as &[Option<DateTime<Utc>>], &delays, &groups as &[Option<&str>], &shares as &[Option<&str>],
        &attempts as &[Option<i16>], &timeouts as &[Option<i32>], &waits, &parents, &keys as &[Option<&str>]
    )
    .fetch_all(conn)
    .await
    .map_err(sql("inserting the tasks"))
}

async fn holders<'t>(
    conn: &mut PgConnection,
    tasks: &'t [NewTask],
    refused: &[usize],
) -> Result<HashMap<(&'t str, &'t str), TaskId>, EnqueueError> {
    let wanted: Vec<(&str, &str)> = refused
        .iter()
        .filter_map(|&index| Some((tasks[index].kind.as_str(), tasks[index].unique_key.as_deref()?)))
        .collect();
    let (kinds, keys): (Vec<&str>, Vec<&str>) = wanted.iter().copied().unzip();
    let found = sqlx::query!(
        r#"select u.ord as "ord!", t.id
           from unnest($1::text[], $2::text[]) with ordinality as u(kind, key, ord)
           join queue.task t on t.kind = u.kind and t.unique_key = u.key"#,
        &kinds as &[&str],
        &keys as &[&str]
    )
    .fetch_all(conn)
    .await
    .map_err(sql("looking up the holders of unique keys"))?;
    Ok(found.into_iter().map(|row| (wanted[row.ord as usize - 1], TaskId(row.id))).collect())
}

/// A statement of its own, so that tasks without a deadline have nothing to do with it.
async fn set_deadlines(
    conn: &mut PgConnection,
    tasks: &[NewTask],
    ids: &[TaskId],
    taken: &BTreeSet<usize>,
) -> Result<(), EnqueueError> {
    let (late, deadlines): (Vec<i64>, Vec<DateTime<Utc>>) = (0..tasks.len())
        .filter(|index| !taken.contains(index))
        .filter_map(|index| Some((ids[index].0, tasks[index].deadline?)))
        .unzip();
    if late.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update queue.task t set expires_at = u.at from unnest($1::bigint[], $2::timestamptz[]) as u(id, at) where t.id = u.id",
        &late,
        &deadlines
    )
    .execute(conn)
    .await
    .map_err(sql("setting the deadlines"))?;
    Ok(())
}

/// Writes the edges. Those whose parent has ended are followed at once.
async fn connect(
    conn: &mut PgConnection,
    graph: &Graph,
    ids: &[TaskId],
    taken: &BTreeSet<usize>,
) -> Result<Bell, EnqueueError> {
    let mut bell = Bell::silent();
    // A task that was there before does not begin to wait now.
    let edges: Vec<_> = graph.edges.iter().filter(|edge| !taken.contains(&edge.child)).collect();
    if edges.is_empty() {
        return Ok(bell);
    }
    // Slots that are one task (same unique key) may have closed a circle that the batch did not show.
    let owner: HashMap<TaskId, usize> =
        (0..ids.len()).filter(|index| !taken.contains(index)).map(|index| (ids[index], index)).collect();
    let inner = edges.iter().filter_map(|edge| match edge.parent {
        Parent::Slot(index) => Some((*owner.get(&ids[index])?, edge.child)),
        Parent::Existing(_) => None,
    });
    if !taken.is_empty() && has_cycle(ids.len(), inner) {
        return Err(EnqueueError::Cycle);
    }
    let number = |parent: Parent| match parent {
        Parent::Slot(index) => ids[index],
        Parent::Existing(id) => id,
    };
    let outside: BTreeSet<i64> = edges
        .iter()
        .filter(|edge| match edge.parent {
            Parent::Slot(index) => taken.contains(&index),
            Parent::Existing(_) => true,
        })
        .map(|edge| number(edge.parent).0)
        .collect();
    let mut ended = Vec::new();
    if !outside.is_empty() {
        let outside: Vec<i64> = outside.into_iter().collect();
        let known = sqlx::query!(r#"select id as "id!", state as "state!" from queue.expect($1)"#, &outside)
            .fetch_all(&mut *conn)
            .await
            .map_err(sql("locking the tasks to wait for"))?;
        if let Some(&unknown) = outside.iter().find(|&&id| !known.iter().any(|row| row.id == id)) {
            return Err(EnqueueError::UnknownTask(TaskId(unknown)));
        }
        let is_final = |state| TaskState::from_code(state).is_some_and(TaskState::is_final);
        ended.extend(known.into_iter().filter(|row| is_final(row.state)).map(|row| (row.id, row.state)));
    }
    let parents: Vec<i64> = edges.iter().map(|edge| number(edge.parent).0).collect();
    let children: Vec<i64> = edges.iter().map(|edge| ids[edge.child].0).collect();
    let rules: Vec<i16> = edges.iter().map(|edge| edge.on_failure.code()).collect();
    let (choosers, needs): (Vec<i64>, Vec<i32>) = graph
        .needs
        .iter()
        .map(|(&child, &need)| (ids[child].0, i32::try_from(need).unwrap_or(i32::MAX)))
        .unzip();
    // Two slots that are one task (same unique key) can make the same edge twice: the counter was raised for each.
    sqlx::query!(
        "with given as (select parent, child, case when bool_or(rule = 0) then 0 else max(rule) end::smallint as rule, min(ord) as ord, count(*)::integer as n
                        from unnest($1::bigint[], $2::bigint[], $3::smallint[]) with ordinality as u(parent, child, rule, ord) group by parent, child),
         family as (select child, array_agg(parent order by ord) as parents, array_agg(rule order by ord) as rules, sum(n - 1)::integer as twice,
                           (count(*) filter (where rule = 2))::integer as counted
                    from given group by child),
         told as (update queue.task t
                  set waits = t.waits - f.twice, parents = f.parents, parent_rules = f.rules,
                      need = case when f.counted > 0 then least(f.counted, k.need) end,
                      spare = case when f.counted > 0 then f.counted - least(f.counted, k.need) end
                  from family f left join unnest($4::bigint[], $5::integer[]) as k(child, need) on k.child = f.child where t.id = f.child)
         insert into queue.edge (parent, child, run_anyway, counts) select parent, child, rule <> 0, rule = 2 from given",
        &parents, &children, &rules, &choosers, &needs
    )
    .execute(&mut *conn)
    .await
    .map_err(sql("inserting the edges"))?;
    for (id, state) in ended {
        let rung = sqlx::query_scalar!(r#"select queue.settle(array[$1::bigint], $2) as "ring!""#, id, state)
            .fetch_one(&mut *conn)
            .await
            .map_err(sql("following the edges of ended tasks"))?;
        bell.merge(Bell::of(rung));
    }
    Ok(bell)
}

async fn stand_in(conn: &mut PgConnection, new: TaskId, old: TaskId) -> Result<bool, EnqueueError> {
    sqlx::query_scalar!(r#"select queue.stand_in($1, $2) as "done!""#, new.0, old.0)
        .fetch_one(conn)
        .await
        .map_err(sql("standing in for a running task"))
}

/// Delay in milliseconds from the database's now, and the moment if one was given.
fn start(start: Start) -> (i64, Option<DateTime<Utc>>) {
    match start {
        Start::Now => (0, None),
        Start::In(delay) => (milliseconds(delay), None),
        Start::At(at) => (0, Some(at)),
    }
}

pub(crate) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
