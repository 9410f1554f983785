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

/// What a claim brought.
#[derive(Debug)]
pub(crate) struct Claims {
    pub(crate) taken: Vec<Claim>,
    /// The queue's rate allows more after this long.
    pub(crate) again: Option<Duration>,
    /// The place of the last of them in the queue.
    pub(crate) last: Option<Place>,
}

/// A place in the order in which a queue's ready tasks are claimed.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Place {
    rank: f64,
    id: i64,
}

impl Place {
    pub(crate) const FIRST: Self = Self { rank: f64::NEG_INFINITY, id: 0 };

    #[cfg(test)]
    pub(crate) const fn new(rank: f64, id: i64) -> Self {
        Self { rank, id }
    }
}

struct Row {
    id: i64,
    lease_token: i64,
    attempt: i16,
    max_attempts: Option<i16>,
    parks: i32,
    version: i16,
    kind: String,
    payload: String,
    group_key: Option<String>,
    share_key: Option<String>,
    timeout_ms: Option<i32>,
    claimed_at: DateTime<Utc>,
    has_children: bool,
    waited: f64,
    rank: f64,
}

impl Claims {
    fn of(rows: Vec<Row>, worker: WorkerId, again: Option<Duration>) -> Self {
        let places = rows.iter().map(|row| Place { rank: row.rank, id: row.id });
        let last = places.reduce(|last, place| if place > last { place } else { last });
        Self { taken: rows.into_iter().map(|row| row.claim(worker)).collect(), again, last }
    }
}

/// Claims up to `limit` tasks of a queue, in the order of their rank: the time they became ready, less a minute for each
/// point of priority.
///
/// Nothing is claimed before `from`, while the queue is paused, when it has limits, or when the worker was given up for dead.
pub(crate) async fn claim(
    conn: &mut PgConnection,
    worker: WorkerId,
    queue: &str,
    from: Place,
    limit: usize,
    kinds: &Kinds,
) -> Result<Claims, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"with picked as materialized (
               select id from queue.task
               where queue = $2 and state = 0 and (queue.rank(run_at, priority), id) >= ($8, $9)
                 and (expires_at is null or expires_at > now())
                 and exists (select from queue.worker w where w.id = $1 and w.dead_at is null)
                 and not exists (select from queue.queue q where q.name = $2 and (q.paused_at is not null or q.limited))
               order by queue.rank(run_at, priority), id
               limit $3
               for update skip locked)
           update queue.task t
           set state = 4, lease_token = nextval('queue.lease_token'), worker_id = $1, claimed_at = now(), attempt = t.attempt + 1,
               max_attempts = coalesce(t.max_attempts, ($6::smallint[])[array_position($4::text[], t.kind)]),
               deadline_at = least(t.expires_at, now() + interval '1 millisecond' * coalesce(t.timeout_ms + $7, ($5::integer[])[array_position($4::text[], t.kind)], 60000))
           where t.id = any(array(select id from picked))
           returning t.id, t.lease_token as "lease_token!", t.attempt, t.max_attempts, t.parks, t.version, t.kind, t.payload::text as "payload!",
                     t.group_key, t.share_key, t.timeout_ms, t.claimed_at as "claimed_at!", t.has_children,
                     extract(epoch from now() - t.run_at)::float8 as "waited!", queue.rank(t.run_at, t.priority) as "rank!""#,
        worker.0,
        queue,
        limit as i64,
        &kinds.names,
        &kinds.deadlines_ms,
        &kinds.max_attempts,
        DEADLINE_SLACK.as_millis() as i32,
        from.rank,
        from.id
    )
    .fetch_all(conn)
    .await?;
    Ok(Claims::of(rows, worker, None))
}

/// The same from a queue that has limits, or had some a moment ago.
pub(crate) async fn claim_limited(
    conn: &mut PgConnection,
    worker: WorkerId,
    queue: &str,
    limit: usize,
    kinds: &Kinds,
) -> Result<Claims, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select c.again_ms, (c.task).id, (c.task).lease_token, (c.task).attempt, (c.task).max_attempts, (c.task).parks, (c.task).version,
                  (c.task).kind, (c.task).payload::text, (c.task).group_key, (c.task).share_key, (c.task).timeout_ms, (c.task).claimed_at,
                  (c.task).has_children, extract(epoch from now() - (c.task).run_at)::float8 as waited,
                  queue.rank((c.task).run_at, (c.task).priority)
           from queue.claim_limited($1, $2, $3, $4, $5, $6, $7) c"#,
        worker.0,
        queue,
        i32::try_from(limit).unwrap_or(i32::MAX),
        &kinds.names,
        &kinds.deadlines_ms,
        &kinds.max_attempts,
        DEADLINE_SLACK.as_millis() as i32
    )
    .fetch_all(conn)
    .await?;
    let again = rows.iter().find_map(|row| row.again_ms).map(|ms| Duration::from_millis(ms.unsigned_abs()));
    // The row that only says when is missing everything else.
    let rows = rows.into_iter().filter_map(|row| {
        Some(Row {
            id: row.id?,
            lease_token: row.lease_token?,
            attempt: row.attempt?,
            max_attempts: row.max_attempts,
            parks: row.parks?,
            version: row.version?,
            kind: row.kind?,
            payload: row.payload?,
            group_key: row.group_key,
            share_key: row.share_key,
            timeout_ms: row.timeout_ms,
            claimed_at: row.claimed_at?,
            has_children: row.has_children?,
            waited: row.waited?,
            rank: row.rank?,
        })
    });
    Ok(Claims::of(rows.collect(), worker, again))
}

impl Row {
    fn claim(self, worker: WorkerId) -> Claim {
        Claim {
            task: TaskId(self.id),
            token: LeaseToken(self.lease_token),
            worker,
            attempt: self.attempt.unsigned_abs(),
            max_attempts: self.max_attempts.map(i16::unsigned_abs),
            parks: self.parks.unsigned_abs(),
            version: self.version,
            kind: self.kind,
            payload: self.payload,
            group_key: self.group_key,
            share_key: self.share_key,
            timeout: self.timeout_ms.map(|ms| Duration::from_millis(u64::from(ms.unsigned_abs()))),
            claimed_at: self.claimed_at,
            has_children: self.has_children,
            waited: self.waited,
        }
    }
}
