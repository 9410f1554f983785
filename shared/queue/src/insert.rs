//! The SQL that puts tasks into the queue, in the caller's transaction.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection, Row};

use crate::{
    batch::{Batch, Enqueued, Graph, Parent, Slot, has_cycle},
    bell::Bell,
    error::EnqueueError,
    id::TaskId,
    keys::{self, Taken},
    rows::Rows,
    state::TaskState,
    task::{NewTask, Start},
};

pub(crate) fn sql(operation: &'static str) -> impl FnOnce(sqlx::Error) -> EnqueueError {
    move |source| EnqueueError::Sql { operation, source }
}

pub(crate) async fn batch(conn: &mut PgConnection, mut batch: Batch) -> Result<Enqueued, EnqueueError> {
    let graph = batch.graph()?;
    let payloads =
        batch.tasks.iter_mut().map(NewTask::checked_payload).collect::<Result<Vec<String>, _>>()?;
    match batch.tasks.as_slice() {
        [] => return Ok(Enqueued::new(Vec::new())),
        [task] if batch.is_plain() && task.deadline.is_none() => {
            if let Some(made) = one(conn, task, &payloads[0]).await? {
                return Ok(made);
            }
        }
        _ => {}
    }
    if is_in_transaction(conn).await? {
        return several(conn, batch, graph, payloads).await;
    }
    let mut tx = conn.begin().await.map_err(sql("beginning a transaction"))?;
    let made = several(&mut tx, batch, graph, payloads).await?;
    tx.commit().await.map_err(sql("committing the tasks"))?;
    Ok(made)
}

/// Of a transaction that was begun by a statement of the caller's own sqlx knows nothing. Postgres does: a statement that is its own
/// transaction begins at the same time as that. Asked by the simple protocol, in which a statement has one beginning.
async fn is_in_transaction(conn: &mut PgConnection) -> Result<bool, EnqueueError> {
    if conn.is_in_transaction() {
        return Ok(true);
    }
    let asked = sqlx::raw_sql("select now() <> statement_timestamp()").fetch_one(conn).await;
    asked.and_then(|row| row.try_get(0)).map_err(sql("asking for the caller's transaction"))
}

/// What takes more than one statement, in a transaction.
async fn several(
    conn: &mut PgConnection,
    mut batch: Batch,
    graph: Graph,
    payloads: Vec<String>,
) -> Result<Enqueued, EnqueueError> {
    keys::digest(conn, &mut batch.tasks, &payloads).await?;
    let tasks = &batch.tasks;
    if tasks.iter().any(|task| task.unique.is_some()) {
        hold_parents(conn, &graph).await?;
    }
    let mut ids: Vec<TaskId> = reserve(conn, tasks.len()).await?.into_iter().map(TaskId).collect();
    let mut taken = keys::take(conn, tasks, &ids).await?;
    let order: Vec<usize> = (0..tasks.len()).filter(|index| !taken.contains_key(index)).collect();
    let rows = Rows { tasks, payloads: &payloads, graph: &graph, ids: &ids };
    if tasks.iter().any(|task| task.row_key().is_some()) {
        taken.extend(keys::insert_free(conn, rows, order).await?);
    } else {
        rows.insert(conn, &order).await?;
    }
    for (&index, &holder) in &taken {
        ids[index] = holder;
    }
    let new = |index: &usize| !taken.contains_key(index);
    let mut bell = Bell::silent();
    for index in (0..tasks.len()).filter(new) {
        if graph.waits[index] == 0 && tasks[index].start == Start::Now {
            bell.add(&tasks[index].queue);
        }
    }
    let settled = keys::settle(conn, tasks, &payloads, &taken).await?;
    bell.merge(settled.bell);
    let late = (0..tasks.len()).filter(|index| new(index) && tasks[*index].deadline.is_some());
    set_deadlines(conn, tasks, &ids, late.chain(settled.replaced.iter().copied())).await?;
    bell.merge(connect(conn, &graph, &ids, &taken).await?);
    for &(index, old) in &batch.stand_ins {
        if !stand_in(conn, ids[index], old).await? {
            return Err(EnqueueError::AlreadyFinal(old));
        }
    }
    bell.count((0..tasks.len()).filter(new).map(|index| &tasks[index]));
    let slots = |indices: Vec<usize>| indices.into_iter().map(Slot::at).collect();
    Ok(Enqueued { ids, existing: slots(settled.existing), replaced: slots(settled.replaced), bell })
}

/// Tasks come before keys, in every transaction: who had a key and waited for a task could meet a run that holds its own task and
/// waits for the key. So the parents that are known by their number are locked first.
async fn hold_parents(conn: &mut PgConnection, graph: &Graph) -> Result<(), EnqueueError> {
    let known = graph.edges.iter().filter_map(|edge| match edge.parent {
        Parent::Existing(id) => Some(id.0),
        Parent::Slot(_) => None,
    });
    let known: BTreeSet<i64> = known.collect();
    if !known.is_empty() {
        let known: Vec<i64> = known.into_iter().collect();
        sqlx::query_scalar!("select queue.lock_all($1, false)", &known)
            .fetch_one(conn)
            .await
            .map_err(sql("locking the tasks to wait for"))?;
    }
    Ok(())
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

/// One statement for the usual task. None: it has a key that is taken, or one that takes more than its row.
async fn one(
    conn: &mut PgConnection,
    task: &NewTask,
    payload: &str,
) -> Result<Option<Enqueued>, EnqueueError> {
    let (delay_ms, run_at) = start(task.start);
    let id = if task.unique.is_none() {
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
        Some(id)
    } else if let Some(key) = task.row_key() {
        sqlx::query_scalar!(
            "insert into queue.task (queue, kind, payload, version, priority, run_at, state, group_key, share_key, max_attempts, timeout_ms, unique_key)
             values ($1, $2, ($3::text)::json, $4, $5, coalesce($6, now() + $7 * interval '1 millisecond'),
                     case when coalesce($6, now() + $7 * interval '1 millisecond') > now() then 1 else 0 end, $8, $9, $10, $11, $12)
             on conflict (kind, unique_key) where unique_key is not null do nothing
             returning id",
            &task.queue, &task.kind, payload, task.version, task.priority, run_at, delay_ms as f64,
            task.group_key.as_deref(), task.share_key.as_deref(), task.max_attempts, task.timeout_ms(), key
        )
        .fetch_optional(conn)
        .await
        .map_err(sql("inserting the task"))?
    } else {
        None
    };
    Ok(id.map(|id| {
        let mut made = Enqueued::new(vec![TaskId(id)]);
        made.bell.count(std::iter::once(task));
        if task.start == Start::Now {
            made.bell.add(&task.queue);
        }
        made
    }))
}

/// A statement of its own, so that tasks without a deadline have nothing to do with it. Of several for one task the last counts.
async fn set_deadlines(
    conn: &mut PgConnection,
    tasks: &[NewTask],
    ids: &[TaskId],
    indices: impl Iterator<Item = usize>,
) -> Result<(), EnqueueError> {
    let deadlines: BTreeMap<i64, Option<DateTime<Utc>>> =
        indices.map(|index| (ids[index].0, tasks[index].deadline)).collect();
    if deadlines.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update queue.task t set expires_at = u.at from unnest((select $1::bigint[]), (select $2::timestamptz[])) as u(id, at) where t.id = u.id",
        &deadlines.keys().copied().collect::<Vec<_>>(),
        &deadlines.values().copied().collect::<Vec<_>>() as &[Option<DateTime<Utc>>]
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
    taken: &Taken,
) -> Result<Bell, EnqueueError> {
    let mut bell = Bell::silent();
    // A task that was there before does not begin to wait now.
    let edges: Vec<_> = graph.edges.iter().filter(|edge| !taken.contains_key(&edge.child)).collect();
    if edges.is_empty() {
        return Ok(bell);
    }
    // Slots that are one task (same unique key) may have closed a circle that the batch did not show.
    let owner: HashMap<TaskId, usize> =
        (0..ids.len()).filter(|index| !taken.contains_key(index)).map(|index| (ids[index], index)).collect();
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
            Parent::Slot(index) => taken.contains_key(&index),
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
pub(crate) fn start(start: Start) -> (i64, Option<DateTime<Utc>>) {
    match start {
        Start::Now => (0, None),
        Start::In(delay) => (milliseconds(delay), None),
        Start::At(at) => (0, Some(at)),
    }
}

pub(crate) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
