//! What keeps the tasks of a group from going on, as far as the queue knows: their place in the line, what holds back the
//! queues that they are in, and how long their kinds usually take. Four statements, whatever the size of the group.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use super::{TaskView, sql, tasks_of_group};
use crate::{error::ControlError, limits::Rate};

/// Places are counted up to here: nobody minds how far behind the rest is, and counting costs.
pub const LAST_PLACE: u64 = 10_000;

/// A group of tasks and what it waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlook {
    /// When this was seen, by the database's clock.
    pub at: DateTime<Utc>,
    /// Its tasks that are still kept, in the order of their numbers.
    pub tasks: Vec<TaskOutlook>,
    /// The queues of those that have not ended.
    pub queues: Vec<QueueOutlook>,
    /// How long recent runs took, by kind.
    pub typical: Vec<Typical>,
}

/// A task and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskOutlook {
    /// The task.
    pub view: TaskView,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// Whose work it is.
    pub share_key: Option<String>,
    /// Of a ready task: how many ready tasks of its queue go before it. None: more than [`LAST_PLACE`], or its share has all
    /// that it may have. In a fair queue a task that comes later can go before it; in any other only one of higher priority.
    pub ahead: Option<u64>,
    /// Tasks of its share that run, in its queue.
    pub share_running: u64,
    /// How many of them may, where that is limited.
    pub share_limit: Option<u64>,
    /// Of a running task: why it was asked to stop.
    pub cancel_why: Option<String>,
    /// Of a running task: the lease of its worker has run out, so another worker takes it over.
    pub lease_is_over: bool,
}

/// What a queue lets pass.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueOutlook {
    /// Its name.
    pub queue: String,
    /// Since when and why it is paused.
    pub paused: Option<(DateTime<Utc>, String)>,
    /// Tasks that may run at once.
    pub max_running: Option<u64>,
    /// Starts in a time.
    pub rate: Option<Rate>,
    /// When the rate allows the next start; none: now.
    pub rate_opens_at: Option<DateTime<Utc>>,
    /// It serves the shares in turn.
    pub fair: bool,
    /// Tasks that run.
    pub running: u64,
    /// Tasks that could run, counted up to [`LAST_PLACE`] and one more.
    pub ready: u64,
    /// Live workers that serve it.
    pub workers: u64,
    /// Their slots for it, together.
    pub slots: u64,
}

/// How long the last runs of a kind took that ended well. The time that they were parked does not count.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Typical {
    /// The kind.
    pub kind: String,
    /// How many runs this is about.
    pub runs: u64,
    /// Half of them took no longer.
    pub median: Duration,
    /// 95 of 100 took no longer.
    pub p95: Duration,
}

/// What a group waits for.
///
/// # Errors
/// When the database refuses.
pub async fn outlook(conn: &mut PgConnection, group_key: &str) -> Result<Outlook, ControlError> {
    let views = tasks_of_group(conn, group_key).await?;
    let places: HashMap<i64, Place> =
        places(conn, group_key).await?.into_iter().map(|place| (place.id, place)).collect();
    let mut queues: Vec<String> =
        views.iter().filter(|view| !view.state.is_final()).map(|view| view.queue.clone()).collect();
    queues.sort_unstable();
    queues.dedup();
    let (at, queues) = queue_outlooks(conn, &queues).await?;
    let tasks = views.into_iter().map(|view| {
        let place = places.get(&view.id.0);
        TaskOutlook {
            created_at: place.map_or(view.run_at, |place| place.created_at),
            share_key: place.and_then(|place| place.share_key.clone()),
            ahead: place.and_then(|place| place.ahead).map(i64::unsigned_abs),
            share_running: place.map_or(0, |place| place.share_running.unsigned_abs()),
            share_limit: place
                .and_then(|place| place.share_limit)
                .map(|limit| u64::from(limit.unsigned_abs())),
            cancel_why: place.and_then(|place| place.cancel_why.clone()),
            lease_is_over: place.is_some_and(|place| place.lease_is_over),
            view,
        }
    });
    Ok(Outlook { at, tasks: tasks.collect(), queues, typical: typical(conn).await? })
}

struct Place {
    id: i64,
    created_at: DateTime<Utc>,
    share_key: Option<String>,
    ahead: Option<i64>,
    share_running: i64,
    share_limit: Option<i32>,
    cancel_why: Option<String>,
    lease_is_over: bool,
}

/// Places are those that the next claims would give: in a fair queue it is the claim's own function that decides.
async fn places(conn: &mut PgConnection, group_key: &str) -> Result<Vec<Place>, ControlError> {
    sqlx::query_as!(
        Place,
        r#"with mine as materialized (
               select id, created_at, queue, share_key, state, cancel_why, worker_id from queue.task where group_key = $1),
           place as materialized (
               select p.id, p.n - 1 as ahead
               from (select distinct queue from mine where state = 0) m
               left join queue.queue q on q.name = m.queue
               cross join lateral (
                   select f.id, row_number() over (order by f.rank, f.id) as n
                   from (select t.id, queue.rank(t.run_at, t.priority) as rank from queue.task t
                         where t.queue = m.queue and t.state = 0 and q.fair is not true
                         order by queue.rank(t.run_at, t.priority), t.id limit $2::integer) f
                   union all
                   select s.id, s.n
                   from queue.pick_by_share(m.queue, case when q.fair then $2::integer else 0 end, true, null, q.virtual_time)
                        with ordinality s (id, share_key, start_at, n)) p
               where p.id in (select id from mine)),
           busy as materialized (
               select t.queue, t.share_key, count(*) as running from queue.task t
               where t.worker_id is not null and t.share_key in (select m.share_key from mine m where m.state = 0)
               group by t.queue, t.share_key)
           select m.id as "id!", m.created_at as "created_at!", m.share_key, place.ahead, coalesce(busy.running, 0) as "share_running!",
                  case when q.limited and m.share_key is not null then coalesce(s.max_running, q.max_running_per_share) end as share_limit, m.cancel_why,
                  coalesce(w.dead_at is not null or w.lease_until < now(), false) as "lease_is_over!"
           from mine m
           left join place on place.id = m.id
           left join busy on busy.queue = m.queue and busy.share_key = m.share_key
           left join queue.queue q on q.name = m.queue
           left join queue.share s on s.queue = m.queue and s.share_key = m.share_key
           left join queue.worker w on w.id = m.worker_id
           union all
           select h.id, h.created_at, h.share_key, null, 0, null, null, false from queue.task_history h where h.group_key = $1"#,
        group_key,
        LAST_PLACE as i32
    )
    .fetch_all(conn)
    .await
    .map_err(sql("counting what goes before the tasks of a group"))
}

async fn queue_outlooks(
    conn: &mut PgConnection,
    names: &[String],
) -> Result<(DateTime<Utc>, Vec<QueueOutlook>), ControlError> {
    // One row more than there are queues, so that the clock is read even where there is none.
    let rows = sqlx::query!(
        r#"select now() as "at!", n.name, q.paused_at as "paused_at?", q.paused_why as "paused_why?", q.max_running as "max_running?",
                  coalesce(q.fair, false) as "fair!", q.rate_tasks as "rate_tasks?", q.rate_period_ms as "rate_period_ms?",
                  q.rate_burst as "rate_burst?",
                  q.rate_next - (q.rate_burst - 1) * make_interval(secs => q.rate_period_ms / 1000.0 / q.rate_tasks) as "opens_at?",
                  (select count(*) from queue.task t where t.worker_id is not null and t.queue = n.name) as "running!",
                  (select count(*) from (select from queue.task t where t.queue = n.name and t.state = 0 limit $2) r) as "ready!",
                  w.workers as "workers!", w.slots as "slots!"
           from (select unnest($1::text[]) as name union all select null) n
           left join queue.queue q on q.name = n.name
           cross join lateral (
               select count(*) as workers, coalesce(sum((w.slots ->> n.name)::bigint), 0)::bigint as slots from queue.worker w
               where w.dead_at is null and w.lease_until >= now() and jsonb_exists(w.slots, n.name)) w
           order by n.name"#,
        names,
        LAST_PLACE as i64 + 1
    )
    .fetch_all(conn)
    .await
    .map_err(sql("looking at the queues of a group"))?;
    let at = rows.first().map(|row| row.at).unwrap_or_default();
    let queues = rows.into_iter().filter_map(|row| {
        let rate = row.rate_tasks.zip(row.rate_period_ms).zip(row.rate_burst);
        Some(QueueOutlook {
            queue: row.name?,
            paused: row.paused_at.zip(row.paused_why),
            max_running: row.max_running.map(|limit| u64::from(limit.unsigned_abs())),
            rate: rate.map(|((tasks, per), burst)| Rate {
                tasks: tasks.unsigned_abs(),
                per: Duration::from_millis(per.unsigned_abs()),
                burst: burst.unsigned_abs(),
            }),
            rate_opens_at: row.opens_at.filter(|opens_at| *opens_at > at),
            fair: row.fair,
            running: row.running.unsigned_abs(),
            ready: row.ready.unsigned_abs(),
            workers: row.workers.unsigned_abs(),
            slots: row.slots.unsigned_abs(),
        })
    });
    Ok((at, queues.collect()))
}

/// How long the last runs took that ended well, by kind: of the 2,000 tasks that were enqueued last, by their numbers, which are
/// an index of each partition.
///
/// # Errors
/// When the database refuses.
pub async fn typical(conn: &mut PgConnection) -> Result<Vec<Typical>, ControlError> {
    let rows = sqlx::query!(
        r#"select kind as "kind!", count(*) as "runs!", percentile_cont(0.5) within group (order by seconds) as "median!",
                  percentile_cont(0.95) within group (order by seconds) as "p95!"
           from (select h.kind, h.state, h.started_at, extract(epoch from h.finished_at - h.started_at)::float8 as seconds
                 from queue.task_history h order by h.id desc limit 2000) recent
           where state = 5 and started_at is not null
           group by kind order by kind"#
    )
    .fetch_all(conn)
    .await
    .map_err(sql("looking how long tasks took"))?;
    let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default();
    Ok(rows
        .into_iter()
        .map(|row| Typical {
            kind: row.kind,
            runs: row.runs.unsigned_abs(),
            median: seconds(row.median),
            p95: seconds(row.p95),
        })
        .collect())
}
