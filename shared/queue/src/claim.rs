//! Takes ready tasks for a worker.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::id::{LeaseToken, TaskId, WorkerId};

/// The lease and the content of one claimed task.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) task: TaskId,
    pub(crate) token: LeaseToken,
    pub(crate) worker: WorkerId,
    pub(crate) attempt: u16,
    pub(crate) max_attempts: Option<u16>,
    pub(crate) parks: u32,
    pub(crate) version: i16,
    pub(crate) kind: String,
    pub(crate) payload: String,
    pub(crate) group_key: Option<String>,
    pub(crate) share_key: Option<String>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) claimed_at: DateTime<Utc>,
    pub(crate) has_children: bool,
    /// How long it was ready before it was claimed, in seconds.
    pub(crate) waited: f64,
}

/// What a worker says about a kind when it claims: hard limits are fixed then, for whoever has to rescue the task.
#[derive(Debug, Default)]
pub(crate) struct Kinds {
    pub(crate) names: Vec<String>,
    pub(crate) deadlines_ms: Vec<i32>,
    pub(crate) max_attempts: Vec<i16>,
}

/// Beyond the timeout that the worker itself keeps, so that it can report first.
pub(crate) const DEADLINE_SLACK: Duration = Duration::from_secs(15);

/// Claims up to `limit` tasks of a queue, by priority, then by the time they became ready.
///
/// Nothing is claimed while the queue is paused or when the worker was given up for dead.
pub(crate) async fn claim(
    conn: &mut PgConnection,
    worker: WorkerId,
    queue: &str,
    limit: usize,
    kinds: &Kinds,
) -> Result<Vec<Claim>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"with picked as materialized (
               select id from queue.task
               where queue = $2 and state = 0
                 and exists (select from queue.worker w where w.id = $1 and w.dead_at is null)
                 and not exists (select from queue.queue q where q.name = $2 and q.paused_at is not null)
               order by priority desc, run_at, id
               limit $3
               for update skip locked)
           update queue.task t
           set state = 4, lease_token = nextval('queue.lease_token'), worker_id = $1, claimed_at = now(), attempt = t.attempt + 1,
               max_attempts = coalesce(t.max_attempts, ($6::smallint[])[array_position($4::text[], t.kind)]),
               deadline_at = now() + interval '1 millisecond' * coalesce(t.timeout_ms + $7, ($5::integer[])[array_position($4::text[], t.kind)], 60000)
           where t.id = any(array(select id from picked))
           returning t.id, t.lease_token as "lease_token!", t.attempt, t.max_attempts, t.parks, t.version, t.kind, t.payload::text as "payload!",
                     t.group_key, t.share_key, t.timeout_ms, t.claimed_at as "claimed_at!", t.has_children,
                     extract(epoch from now() - t.run_at)::float8 as "waited!""#,
        worker.0,
        queue,
        limit as i64,
        &kinds.names,
        &kinds.deadlines_ms,
        &kinds.max_attempts,
        DEADLINE_SLACK.as_millis() as i32
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Claim {
            task: TaskId(row.id),
            token: LeaseToken(row.lease_token),
            worker,
            attempt: row.attempt.unsigned_abs(),
            max_attempts: row.max_attempts.map(i16::unsigned_abs),
            parks: row.parks.unsigned_abs(),
            version: row.version,
            kind: row.kind,
            payload: row.payload,
            group_key: row.group_key,
            share_key: row.share_key,
            timeout: row.timeout_ms.map(|ms| Duration::from_millis(u64::from(ms.unsigned_abs()))),
            claimed_at: row.claimed_at,
            has_children: row.has_children,
            waited: row.waited,
        })
        .collect())
}
