//! Takes the unique keys of tasks that are about to be inserted, and settles what happens to those whose key is taken.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{
    bell::Bell,
    error::EnqueueError,
    id::TaskId,
    insert::{sql, start},
    rows::Rows,
    task::NewTask,
    unique::{By, Conflict, Span, Unique},
};

/// A key can be given up between the refused insert and the look-up; then the insert is tried again.
const TRIES: usize = 5;

/// Indices of tasks whose key is taken, with the task that has it.
pub(crate) type Taken = BTreeMap<usize, TaskId>;

/// What became of the tasks whose key was taken.
pub(crate) struct Settled {
    pub(crate) existing: Vec<usize>,
    pub(crate) replaced: Vec<usize>,
    pub(crate) bell: Bell,
}

/// Turns payloads that are keys into their digests.
pub(crate) async fn digest(
    conn: &mut PgConnection,
    tasks: &mut [NewTask],
    payloads: &[String],
) -> Result<(), EnqueueError> {
    let by_payload = |task: &NewTask| task.unique.as_ref().is_some_and(|unique| unique.by == By::Payload);
    let wanted: Vec<usize> = (0..tasks.len()).filter(|&index| by_payload(&tasks[index])).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let texts: Vec<&str> = wanted.iter().map(|&index| payloads[index].as_str()).collect();
    let keys = sqlx::query_scalar!(
        r#"select queue.payload_key(p::json) as "key!" from unnest($1::text[]) with ordinality as u(p, ord) order by ord"#,
        &texts as &[&str]
    )
    .fetch_all(conn)
    .await
    .map_err(sql("making keys of payloads"))?;
    for (index, key) in wanted.into_iter().zip(keys) {
        if let Some(unique) = &mut tasks[index].unique {
            unique.by = By::Key(key);
        }
    }
    Ok(())
}

/// Takes the keys that are held apart from the tasks' rows.
pub(crate) async fn take(
    conn: &mut PgConnection,
    tasks: &[NewTask],
    ids: &[TaskId],
) -> Result<Taken, EnqueueError> {
    let mut wanted: Vec<(&str, &str, usize, i16, i64)> = Vec::new();
    for (index, task) in tasks.iter().enumerate() {
        if let Some(Unique { by: By::Key(key), span, .. }) = &task.unique
            && let Some((code, period)) = span.coded()
        {
            wanted.push((key, &task.kind, index, code, period));
        }
    }
    if wanted.is_empty() {
        return Ok(Taken::new());
    }
    // Two batches with the same keys wait for each other in one order only.
    wanted.sort_unstable();
    let refused = sqlx::query!(
        r#"select refused as "refused!", holder as "holder!" from queue.take_keys($1, $2, $3, $4, $5)"#,
        &wanted.iter().map(|key| key.1).collect::<Vec<_>>() as &[&str],
        &wanted.iter().map(|key| key.0).collect::<Vec<_>>() as &[&str],
        &wanted.iter().map(|key| ids[key.2].0).collect::<Vec<_>>(),
        &wanted.iter().map(|key| key.3).collect::<Vec<_>>(),
        &wanted.iter().map(|key| key.4).collect::<Vec<_>>()
    )
    .fetch_all(conn)
    .await
    .map_err(sql("taking unique keys"))?;
    let holders: HashMap<i64, i64> = refused.into_iter().map(|row| (row.refused, row.holder)).collect();
    let holder = |index: usize| holders.get(&ids[index].0).copied().map(TaskId);
    Ok(wanted.into_iter().filter_map(|key| Some((key.2, holder(key.2)?))).collect())
}

/// Inserts rows of which some have keys; those whose key is in the queue already are returned and not inserted.
pub(crate) async fn insert_free(
    conn: &mut PgConnection,
    rows: Rows<'_>,
    mut order: Vec<usize>,
) -> Result<Taken, EnqueueError> {
    let tasks = rows.tasks;
    order.sort_by(|&a, &b| {
        let key = |index: usize| (tasks[index].row_key(), &tasks[index].kind, index);
        key(a).cmp(&key(b))
    });
    let mut taken = Taken::new();
    for _ in 0..TRIES {
        let made: HashSet<i64> = rows.insert_free(conn, &order).await?.into_iter().collect();
        order.retain(|&index| !made.contains(&rows.ids[index].0));
        if order.is_empty() {
            return Ok(taken);
        }
        let holders = holders(conn, tasks, &order).await?;
        order.retain(|&index| {
            let key = tasks[index].row_key().map(|key| (tasks[index].kind.as_str(), key));
            match key.and_then(|key| holders.get(&key)) {
                Some(&holder) => {
                    taken.insert(index, holder);
                    false
                }
                None => true,
            }
        });
        if order.is_empty() {
            return Ok(taken);
        }
    }
    Err(EnqueueError::Contended {
        kind: order.first().map(|&index| tasks[index].kind.clone()).unwrap_or_default(),
    })
}

async fn holders<'t>(
    conn: &mut PgConnection,
    tasks: &'t [NewTask],
    refused: &[usize],
) -> Result<HashMap<(&'t str, &'t str), TaskId>, EnqueueError> {
    let wanted: Vec<(&str, &str)> = refused
        .iter()
        .filter_map(|&index| Some((tasks[index].kind.as_str(), tasks[index].row_key()?)))
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

/// Does what each task whose key is taken asked for.
pub(crate) async fn settle(
    conn: &mut PgConnection,
    tasks: &[NewTask],
    payloads: &[String],
    taken: &Taken,
) -> Result<Settled, EnqueueError> {
    let mut settled = Settled { existing: Vec::new(), replaced: Vec::new(), bell: Bell::silent() };
    let mut replacing: Vec<usize> = Vec::new();
    for (&index, &holder) in taken {
        let Some(Unique { by: By::Key(key), conflict, .. }) = &tasks[index].unique else { continue };
        match conflict {
            Conflict::Skip => settled.existing.push(index),
            Conflict::Replace => replacing.push(index),
            Conflict::Report => {
                let (kind, key) = (tasks[index].kind.clone(), key.clone());
                return Err(EnqueueError::Taken { kind, key, task: holder });
            }
        }
    }
    if replacing.is_empty() {
        return Ok(settled);
    }
    let pick = || replacing.iter().map(|&index| &tasks[index]);
    let rows = sqlx::query!(
        r#"select id as "id!", ready_in from queue.replace($1, $2, $3, $4, $5, $6)"#,
        &replacing.iter().map(|index| taken[index].0).collect::<Vec<_>>(),
        &replacing.iter().map(|&index| payloads[index].as_str()).collect::<Vec<_>>() as &[&str],
        &pick().map(|task| task.version).collect::<Vec<_>>(),
        &pick().map(|task| task.priority).collect::<Vec<_>>(),
        &pick().map(|task| start(task.start).1).collect::<Vec<_>>() as &[Option<DateTime<Utc>>],
        &pick().map(|task| start(task.start).0).collect::<Vec<_>>()
    )
    .fetch_all(conn)
    .await
    .map_err(sql("replacing the holders of unique keys"))?;
    let done: HashSet<i64> = rows.iter().map(|row| row.id).collect();
    let ready = Bell::of(rows.into_iter().filter_map(|row| row.ready_in));
    settled.bell.merge(ready.commanded("replace", done.len()));
    for index in replacing {
        let list =
            if done.contains(&taken[&index].0) { &mut settled.replaced } else { &mut settled.existing };
        list.push(index);
    }
    settled.existing.sort_unstable();
    Ok(settled)
}

impl NewTask {
    /// The key that the task's own row holds.
    pub(crate) fn row_key(&self) -> Option<&str> {
        match &self.unique {
            Some(Unique { by: By::Key(key), span: Span::Queued, .. }) => Some(key),
            _ => None,
        }
    }
}
