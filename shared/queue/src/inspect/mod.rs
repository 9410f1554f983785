//! Views of the queue for people and programs: tasks, runs, workers, figures.

mod checkup;
mod dead;
mod figures;
mod outlook;
mod timeline;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use crate::{
    ending::RunOutcome,
    error::ControlError,
    id::{LeaseToken, TaskId, WorkerId},
    state::TaskState,
};
pub use checkup::{KindView, Partitions, kinds, partitions};
pub use dead::{Cursor, Dead, DeadCount, DeadPage, DeadTask, count_dead, dead};
pub use figures::{Figures, Served, TaskCount, figures};
pub use outlook::{LAST_PLACE, Outlook, QueueOutlook, TaskOutlook, Typical, outlook, typical};
pub use timeline::{Event, What, timeline};

/// One task, live or ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskView {
    /// Its number.
    pub id: TaskId,
    /// Its kind.
    pub kind: String,
    /// Its queue.
    pub queue: String,
    /// Where it stands.
    pub state: TaskState,
    /// Attempts that count, the running one included.
    pub attempt: u16,
    /// Attempts that it may have; none until it was first claimed, unless its maker said.
    pub max_attempts: Option<u16>,
    /// How often it parked.
    pub parks: u32,
    /// When it may run, or became ready.
    pub run_at: DateTime<Utc>,
    /// When its current or last run began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why it is parked, canceled, or asked to stop.
    pub why: Option<String>,
    /// The word that its last error is grouped by, once it has ended. `parent`: it was canceled because of a task that it waited for.
    pub error_class: Option<String>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Tasks that it still waits for.
    pub waits_for: Vec<TaskId>,
    /// All tasks that it ever waited for.
    pub parents: Vec<TaskId>,
    /// After this it is not worth doing.
    pub deadline: Option<DateTime<Utc>>,
    /// How far its current or last run is, by the handler's account; none once the task has ended.
    pub progress: Option<Progress>,
    /// What it belongs to.
    pub group_key: Option<String>,
    /// The token of its current or last run.
    pub token: Option<LeaseToken>,
    /// The worker of its current or last run.
    pub worker: Option<WorkerId>,
    /// What it was enqueued with.
    pub payload: serde_json::Value,
    /// What it left.
    pub output: Option<serde_json::Value>,
}

/// How far a run is, by its handler's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// 0 to 100.
    pub percent: u8,
    /// What it is doing, for people.
    pub note: String,
    /// When this was written.
    pub at: DateTime<Utc>,
}

/// One run that has ended, or is going on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunView {
    /// The claim.
    pub token: LeaseToken,
    /// The worker process.
    pub worker: Option<WorkerId>,
    /// Its name, while the worker's row is kept.
    pub worker_name: Option<String>,
    /// Which attempt it was.
    pub attempt: u16,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended; none while it runs.
    pub ended_at: Option<DateTime<Utc>>,
    /// How it ended.
    pub outcome: Option<RunOutcome>,
    /// Whether it used an attempt.
    pub counted: bool,
    /// The word to group errors by.
    pub error_class: Option<String>,
    /// What happened.
    pub error: Option<String>,
}

/// One live worker process.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkerView {
    /// The process start.
    pub id: WorkerId,
    /// Its name.
    pub name: String,
    /// Where it runs.
    pub host: String,
    /// Its process there.
    pub pid: i32,
    /// Slots by queue.
    pub slots: serde_json::Value,
    /// Tasks that it runs now.
    pub running: i64,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// Seconds since it was last heard.
    pub beat_age: f64,
}

/// Figures of one queue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueueStats {
    /// Its name.
    pub queue: String,
    /// Why it is paused, if it is.
    pub paused: Option<String>,
    /// Tasks that could run now.
    pub ready: i64,
    /// Tasks that wait for their time.
    pub scheduled: i64,
    /// Tasks that wait for something outside.
    pub parked: i64,
    /// Tasks that wait for other tasks.
    pub blocked: i64,
    /// Tasks that run.
    pub running: i64,
    /// Seconds that the oldest ready task has been ready.
    pub oldest_ready: f64,
}

fn sql(operation: &'static str) -> impl FnOnce(sqlx::Error) -> ControlError {
    move |source| ControlError::Sql { operation, source }
}

fn state(code: i16) -> TaskState {
    // A CHECK keeps other numbers out.
    TaskState::from_code(code).unwrap_or(TaskState::Canceled)
}

/// All tasks of a group that are still kept, in the order of their numbers.
///
/// # Errors
/// When the database refuses.
pub async fn tasks_of_group(conn: &mut PgConnection, group_key: &str) -> Result<Vec<TaskView>, ControlError> {
    tasks(conn, Some(group_key), None).await
}

/// One task, live or ended.
///
/// # Errors
/// When the database refuses.
pub async fn task(conn: &mut PgConnection, id: TaskId) -> Result<Option<TaskView>, ControlError> {
    Ok(tasks(conn, None, Some(&[id.0])).await?.pop())
}

/// By group or by number.
pub(crate) async fn tasks(
    conn: &mut PgConnection,
    group: Option<&str>,
    ids: Option<&[i64]>,
) -> Result<Vec<TaskView>, ControlError> {
    let rows = sqlx::query!(
        r#"select t.id as "id!", kind as "kind!", queue as "queue!", state as "state!", attempt as "attempt!", max_attempts, parks as "parks!",
                  run_at as "run_at!", claimed_at as started_at, null::timestamptz as finished_at, coalesce(cancel_why, why) as why, last_error, null::text as error_class,
                  array(select e.parent from queue.edge e where e.child = t.id order by e.parent) as "waits_for!",
                  coalesce(parents, '{}') as "parents!", expires_at, p.percent as "percent?", p.note as "note?", p.updated_at as "reported_at?",
                  group_key, t.lease_token, worker_id, payload as "payload!", null::json as output
           from queue.task t left join queue.progress p on p.task_id = t.id and p.lease_token = t.lease_token
           where (group_key = $1 and $2::bigint[] is null) or id = any($2)
           union all
           select h.id, kind, queue, state, attempt, max_attempts, parks, run_at, started_at, finished_at, why, error, error_class, '{}',
                  coalesce(parents, '{}'), expires_at, null, null, null, group_key, lease_token, worker_id, payload, output
           from queue.task_history h where (group_key = $1 and $2::bigint[] is null) or id = any($2)
           order by 1, 10 nulls last"#,
        group,
        ids
    )
    .fetch_all(conn)
    .await
    .map_err(sql("listing tasks"))?;
    Ok(rows
        .into_iter()
        .map(|row| TaskView {
            id: TaskId(row.id),
            kind: row.kind,
            queue: row.queue,
            state: state(row.state),
            attempt: row.attempt.unsigned_abs(),
            max_attempts: row.max_attempts.map(i16::unsigned_abs),
            parks: row.parks.unsigned_abs(),
            run_at: row.run_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            why: row.why,
            error_class: row.error_class,
            last_error: row.last_error,
            waits_for: row.waits_for.into_iter().map(TaskId).collect(),
            parents: row.parents.into_iter().map(TaskId).collect(),
            deadline: row.expires_at,
            progress: row.percent.zip(row.note).zip(row.reported_at).map(|((percent, note), at)| Progress {
                percent: u8::try_from(percent).unwrap_or(100),
                note,
                at,
            }),
            group_key: row.group_key,
            token: row.lease_token.map(LeaseToken),
            worker: row.worker_id.map(WorkerId),
            payload: row.payload,
            output: row.output,
        })
        .collect())
}

/// The runs of a task in the order of their tokens, the current and the last one included. Runs that parked left no trace but a counter.
///
/// # Errors
/// When the database refuses.
pub async fn runs_of(conn: &mut PgConnection, task: TaskId) -> Result<Vec<RunView>, ControlError> {
    let rows = sqlx::query!(
        r#"select r.token as "token!", r.worker_id, w.name as "worker_name?", r.attempt as "attempt!", r.started_at, r.ended_at, r.outcome,
                  r.counted as "counted!", r.error_class, r.error
           from (
               select lease_token as token, worker_id, attempt, started_at, ended_at, outcome, counted, error_class, error
               from queue.run where task_id = $1 and outcome < 10
               union all
               select lease_token, worker_id, attempt, started_at, finished_at,
                      case state when 5 then 1 when 6 then 3 else 4 end, true, error_class, case when error_class is not null then error end
               from queue.task_history where id = $1 and worker_id is not null
               union all
               select lease_token, worker_id, attempt, claimed_at, null, null, false, null, null
               from queue.task where id = $1 and state = 4) r
           left join queue.worker w on w.id = r.worker_id
           order by r.token, r.ended_at nulls last"#,
        task.0
    )
    .fetch_all(conn)
    .await
    .map_err(sql("listing the runs of a task"))?;
    Ok(rows
        .into_iter()
        .map(|row| RunView {
            token: LeaseToken(row.token),
            worker: row.worker_id.map(WorkerId),
            worker_name: row.worker_name,
            attempt: row.attempt.unsigned_abs(),
            started_at: row.started_at,
            ended_at: row.ended_at,
            outcome: row.outcome.and_then(|code| RunOutcome::from_code(code as i16)),
            counted: row.counted,
            error_class: row.error_class,
            error: row.error,
        })
        .collect())
}

/// The workers that hold a lease now.
///
/// # Errors
/// When the database refuses.
pub async fn workers(conn: &mut PgConnection) -> Result<Vec<WorkerView>, ControlError> {
    let rows = sqlx::query!(
        r#"select id, name, host, pid, slots, started_at, extract(epoch from now() - beat_at)::float8 as "beat_age!",
                  (select count(*) from queue.task t where t.worker_id = w.id and t.state = 4) as "running!"
           from queue.worker w where dead_at is null and lease_until >= now() order by id"#
    )
    .fetch_all(conn)
    .await
    .map_err(sql("listing workers"))?;
    Ok(rows
        .into_iter()
        .map(|row| WorkerView {
            id: WorkerId(row.id),
            name: row.name,
            host: row.host,
            pid: row.pid,
            slots: row.slots,
            running: row.running,
            started_at: row.started_at,
            beat_age: row.beat_age,
        })
        .collect())
}

/// Figures of every queue that has tasks or is paused. Counts the hot table: not for every request.
///
/// # Errors
/// When the database refuses.
pub async fn stats(conn: &mut PgConnection) -> Result<Vec<QueueStats>, ControlError> {
    let rows = sqlx::query!(
        r#"select coalesce(t.queue, q.name) as "queue!", q.paused_why, coalesce(t.ready, 0) as "ready!", coalesce(t.scheduled, 0) as "scheduled!",
                  coalesce(t.parked, 0) as "parked!", coalesce(t.blocked, 0) as "blocked!", coalesce(t.running, 0) as "running!",
                  coalesce(t.oldest, 0)::float8 as "oldest!"
           from (select queue, count(*) filter (where state = 0) as ready, count(*) filter (where state = 1) as scheduled,
                        count(*) filter (where state = 2) as parked, count(*) filter (where state = 3) as blocked,
                        count(*) filter (where state = 4) as running,
                        extract(epoch from now() - min(run_at) filter (where state = 0)) as oldest
                 from queue.task group by queue) t
           full join (select name, paused_why from queue.queue where paused_at is not null) q on q.name = t.queue
           order by 1"#
    )
    .fetch_all(conn)
    .await
    .map_err(sql("counting tasks"))?;
    Ok(rows
        .into_iter()
        .map(|row| QueueStats {
            queue: row.queue,
            paused: row.paused_why,
            ready: row.ready,
            scheduled: row.scheduled,
            parked: row.parked,
            blocked: row.blocked,
            running: row.running,
            oldest_ready: row.oldest,
        })
        .collect())
}
