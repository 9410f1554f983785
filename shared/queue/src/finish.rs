//! The fenced writes that end runs. Every one of them is guarded by task and lease token.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{
    ending::{Again, Ending, RunOutcome},
    id::{LeaseToken, TaskId, WorkerId},
    insert::milliseconds,
    state::TaskState,
};

/// What a run is fenced by, and what its record says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fence {
    pub(crate) task: TaskId,
    pub(crate) token: LeaseToken,
    pub(crate) worker: WorkerId,
    pub(crate) attempt: u16,
    pub(crate) claimed_at: DateTime<Utc>,
}

/// What became of a fenced write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is so; these queues have something ready now.
    Yes(Vec<String>),
    /// The lease was lost; nothing was changed.
    Stale,
}

/// One task of a batch that goes on later.
pub(crate) struct AgainRow<'a> {
    pub(crate) fence: Fence,
    pub(crate) again: &'a Again,
}

/// One task of a batch that is final and that nothing waits for.
pub(crate) struct FinalRow<'a> {
    pub(crate) fence: Fence,
    pub(crate) state: TaskState,
    pub(crate) output: Option<&'a str>,
    pub(crate) class: Option<&'a str>,
    pub(crate) error: Option<&'a str>,
    pub(crate) why: Option<&'a str>,
}

/// Ends one run, whatever hangs on it.
pub(crate) async fn one(
    conn: &mut PgConnection,
    fence: Fence,
    ending: &Ending,
) -> Result<Written, sqlx::Error> {
    match ending {
        Ending::Final { state, output, class, error, why } => {
            finish(conn, fence, *state, output.as_deref(), class.as_deref(), error.as_deref(), why.as_deref())
                .await
        }
        Ending::Again(again) => {
            let written = again_many(conn, &[AgainRow { fence, again }]).await?;
            if let Some((_, ring)) = written.into_iter().next() {
                return Ok(Written::Yes(ring.into_iter().collect()));
            }
            // It was asked to stop: it does not go on later.
            let stop = sqlx::query_scalar!(
                "select cancel_why from queue.task where id = $1 and lease_token = $2 and state = 4 and cancel_why is not null",
                fence.task.0,
                fence.token.0
            )
            .fetch_optional(&mut *conn)
            .await?;
            match stop.flatten() {
                Some(why) => {
                    finish(
                        conn,
                        fence,
                        TaskState::Canceled,
                        None,
                        again.class.as_deref(),
                        again.error.as_deref(),
                        Some(&why),
                    )
                    .await
                }
                None => Ok(Written::Stale),
            }
        }
    }
}

async fn finish(
    conn: &mut PgConnection,
    fence: Fence,
    state: TaskState,
    output: Option<&str>,
    class: Option<&str>,
    error: Option<&str>,
    why: Option<&str>,
) -> Result<Written, sqlx::Error> {
    let ring = sqlx::query_scalar!(
        "select queue.finish($1, $2, $3, ($4::text)::json, $5, $6, $7)",
        fence.task.0,
        fence.token.0,
        state.code(),
        output,
        class,
        error,
        why
    )
    .fetch_one(conn)
    .await?;
    Ok(ring.map_or(Written::Stale, Written::Yes))
}

// In these statements arrays stand in sub-selects: with their length in sight the planner scans the whole table for some hundred
// ids, as long as it has fewer than about 90,000 rows, and all its dead rows with it while an old snapshot is open.

/// Ends many runs whose tasks go on later. Returns those that were written, with their queue if they are ready at once.
///
/// Missing are the stale ones, and those that were asked to stop.
pub(crate) async fn again_many(
    conn: &mut PgConnection,
    rows: &[AgainRow<'_>],
) -> Result<Vec<(TaskId, Option<String>)>, sqlx::Error> {
    let ids: Vec<i64> = rows.iter().map(|row| row.fence.task.0).collect();
    let tokens: Vec<i64> = rows.iter().map(|row| row.fence.token.0).collect();
    let states: Vec<i16> = rows.iter().map(|row| row.again.state.code()).collect();
    let delays: Vec<i64> = rows.iter().map(|row| milliseconds(row.again.delay)).collect();
    let at: Vec<Option<DateTime<Utc>>> = rows.iter().map(|row| row.again.at).collect();
    let whys: Vec<Option<&str>> = rows.iter().map(|row| row.again.why.as_deref()).collect();
    let classes: Vec<Option<&str>> = rows.iter().map(|row| row.again.class.as_deref()).collect();
    let errors: Vec<Option<&str>> = rows.iter().map(|row| row.again.error.as_deref()).collect();
    let codes: Vec<i16> = rows.iter().map(|row| row.again.outcome.map_or(0, RunOutcome::code)).collect();
    let counted: Vec<bool> = rows.iter().map(|row| row.again.counted()).collect();
    let workers: Vec<i64> = rows.iter().map(|row| row.fence.worker.0).collect();
    let written = sqlx::query!(
        r#"with given as (
               select * from unnest((select $1::bigint[]), (select $2::bigint[]), (select $3::smallint[]), (select $4::bigint[]), (select $5::timestamptz[]), (select $6::text[]), (select $7::text[]), (select $8::text[]),
                                    (select $9::smallint[]), (select $10::boolean[]), (select $11::bigint[]))
                        as u(id, token, state, delay_ms, at, why, class, error, code, counted, worker)),
           held as materialized (
               select t.id, t.wake, g.token, g.state, g.delay_ms, g.at, g.why, g.class, g.error, g.code, g.counted, g.worker
               from given g join queue.task t on t.id = g.id
               where t.lease_token = g.token and t.state = 4 and t.cancel_why is null
               order by t.id for update of t),
           moved as (
               update queue.task t
               set state = case when h.state = 2 and h.wake then 0 when h.state = 1 and h.delay_ms = 0 and h.at is null then 0 else h.state end,
                   run_at = case when h.state = 0 then t.run_at when h.state = 2 and h.wake then now()
                                 else coalesce(h.at, now() + h.delay_ms * interval '1 millisecond') end,
                   attempt = case when h.counted then t.attempt else greatest(t.attempt - 1, 0) end,
                   parks = t.parks + case when h.state = 2 then 1 else 0 end,
                   worker_id = null, claimed_at = null, deadline_at = null, wake = false,
                   why = h.why, last_error = coalesce(h.error, t.last_error)
               from held h where t.id = h.id
               returning t.id, t.queue, t.state, t.attempt + case when h.counted then 0 else 1 end as attempt, h.token, h.class, h.error, h.code,
                         h.counted, h.worker),
           noted as (
               insert into queue.run (task_id, lease_token, started_at, worker_id, attempt, outcome, counted, error_class, error)
               select m.id, m.token, s.claimed_at, m.worker, m.attempt, m.code, m.counted, m.class, m.error
               from moved m join unnest((select $1::bigint[]), (select $12::timestamptz[])) as s(id, claimed_at) on s.id = m.id
               where m.code > 0)
           select id as "id!", case when state = 0 then queue end as ring from moved"#,
        &ids,
        &tokens,
        &states,
        &delays,
        &at as &[Option<DateTime<Utc>>],
        &whys as &[Option<&str>],
        &classes as &[Option<&str>],
        &errors as &[Option<&str>],
        &codes,
        &counted,
        &workers,
        &rows.iter().map(|row| row.fence.claimed_at).collect::<Vec<_>>()
    )
    .fetch_all(conn)
    .await?;
    Ok(written.into_iter().map(|row| (TaskId(row.id), row.ring)).collect())
}

/// Ends many runs for good. Returns those that were written.
///
/// Missing are the stale ones, and those that other tasks have come to wait for: they need [`one`]. `rows` are in the order of
/// their ids, so that they are locked in the order that everybody keeps.
pub(crate) async fn final_many(
    conn: &mut PgConnection,
    rows: &[FinalRow<'_>],
) -> Result<Vec<i64>, sqlx::Error> {
    let ids: Vec<i64> = rows.iter().map(|row| row.fence.task.0).collect();
    let tokens: Vec<i64> = rows.iter().map(|row| row.fence.token.0).collect();
    let plain = rows.iter().all(|row| {
        row.state == TaskState::Succeeded && row.output.is_none() && row.class.is_none() && row.why.is_none()
    });
    if plain {
        return sqlx::query_scalar!(
            "with gone as (
                 delete from queue.task t using unnest((select $1::bigint[]), (select $2::bigint[])) as u(id, token)
                 where t.id = u.id and t.lease_token = u.token and t.state = 4 and not t.has_children
                 returning t.*)
             insert into queue.task_history (id, finished_at, created_at, run_at, started_at, lease_token, worker_id, parks, state, priority,
                 version, attempt, max_attempts, timeout_ms, queue, kind, group_key, share_key, unique_key, error, payload,
                 expires_at, parents, parent_rules, need)
             select id, now(), created_at, run_at, claimed_at, lease_token, worker_id, parks, 5, priority,
                 version, attempt, max_attempts, timeout_ms, queue, kind, group_key, share_key, unique_key, last_error, payload,
                 expires_at, parents, parent_rules, need
             from gone
             returning id",
            &ids,
            &tokens
        )
        .fetch_all(conn)
        .await;
    }
    let states: Vec<i16> = rows.iter().map(|row| row.state.code()).collect();
    let outputs: Vec<Option<&str>> = rows.iter().map(|row| row.output).collect();
    let classes: Vec<Option<&str>> = rows.iter().map(|row| row.class).collect();
    let errors: Vec<Option<&str>> = rows.iter().map(|row| row.error).collect();
    let whys: Vec<Option<&str>> = rows.iter().map(|row| row.why).collect();
    sqlx::query_scalar!(
        "with gone as (
             delete from queue.task t
             using unnest((select $1::bigint[]), (select $2::bigint[]), (select $3::smallint[]), (select $4::text[]), (select $5::text[]), (select $6::text[]), (select $7::text[]))
                       as u(id, token, state, output, class, error, why)
             where t.id = u.id and t.lease_token = u.token and t.state = 4 and not t.has_children
             returning t.*, u.state as end_state, u.output, u.class, u.error, u.why as end_why)
         insert into queue.task_history (id, finished_at, created_at, run_at, started_at, lease_token, worker_id, parks, state, priority,
             version, attempt, max_attempts, timeout_ms, queue, kind, group_key, share_key, unique_key, why, error_class, error, payload, output,
             expires_at, parents, parent_rules, need)
         select id, now(), created_at, run_at, claimed_at, lease_token, worker_id, parks, end_state, priority,
             version, attempt, max_attempts, timeout_ms, queue, kind, group_key, share_key, unique_key, end_why, class,
             coalesce(error, last_error), payload, output::json, expires_at, parents, parent_rules, need
         from gone
         returning id",
        &ids,
        &tokens,
        &states,
        &outputs as &[Option<&str>],
        &classes as &[Option<&str>],
        &errors as &[Option<&str>],
        &whys as &[Option<&str>]
    )
    .fetch_all(conn)
    .await
}

/// Records once that a run reported after its lease was lost. A statement of its own: the work it guarded was rolled back.
pub(crate) async fn refused(conn: &mut PgConnection, fence: Fence, word: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into queue.run (task_id, lease_token, started_at, worker_id, attempt, outcome, counted, error_class, error)
         select $1, $2, $3, $4, $5, 8, false, 'lease_lost', $6
         where not exists (select from queue.run r where r.task_id = $1 and r.lease_token = $2 and r.outcome = 8)",
        fence.task.0,
        fence.token.0,
        fence.claimed_at,
        fence.worker.0,
        fence.attempt as i16,
        format!("came too late with: {word}")
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// After a write whose answer was lost: was it ours that took effect?
pub(crate) async fn already_written(conn: &mut PgConnection, fence: Fence) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select (exists (select from queue.task_history h where h.id = $1 and h.lease_token = $2)
                   or exists (select from queue.task t where t.id = $1 and t.lease_token = $2 and t.state <> 4)
                   or exists (select from queue.run r where r.task_id = $1 and r.lease_token = $2))
                  and not exists (select from queue.run r where r.task_id = $1 and r.lease_token = $2 and r.outcome in (6, 7, 8)) as "ours!""#,
        fence.task.0,
        fence.token.0
    )
    .fetch_one(conn)
    .await
}

/// Whether the lease is held, locking it until the caller's transaction ends so that nobody can take it meanwhile.
pub(crate) async fn hold(
    conn: &mut PgConnection,
    task: TaskId,
    token: LeaseToken,
) -> Result<bool, sqlx::Error> {
    let held = sqlx::query_scalar!(
        r#"select 1 as "held!" from queue.task where id = $1 and lease_token = $2 and state = 4 for no key update"#,
        task.0,
        token.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(held.is_some())
}
