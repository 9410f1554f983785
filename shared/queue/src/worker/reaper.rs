//! Rescues the tasks of dead workers and those past their deadline. Every worker can; one does at a time.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use crate::{
    bell::Bell,
    ending::RunOutcome,
    insert::milliseconds,
    metrics,
    state::TaskState,
    worker::{
        beat::Contact,
        core::{Core, is_of_one_row, jittered},
    },
};

/// How often it is looked for dead workers.
const INTERVAL: Duration = Duration::from_millis(2500);
/// Tasks per round.
const LARGEST: i64 = 500;
/// Before a task that ran past its deadline is tried again.
const AFTER_DEADLINE: Duration = Duration::from_secs(5);
/// Attempts of a task that no worker who knew its kind ever claimed.
const ATTEMPTS: i16 = 4;

pub(crate) async fn run(core: Arc<Core>, healthy: watch::Receiver<Option<Contact>>) {
    let interval = INTERVAL.min(core.lease / 4);
    loop {
        tokio::select! {
            () = tokio::time::sleep(jittered(interval)) => {}
            () = core.ending.cancelled() => return,
        }
        // After an outage all leases look expired; their owners get one lease of time to say that they live.
        let contact = healthy.borrow().filter(|contact| contact.since.elapsed() >= core.lease);
        let Some(Contact { heard, .. }) = contact else { continue };
        if let Err(error) = round(&core, interval, heard).await {
            core.failed("reap", &error);
        }
    }
}

struct Lost {
    id: i64,
    token: i64,
    worker: i64,
    attempt: i16,
    claimed_at: DateTime<Utc>,
    last: bool,
    stop: Option<String>,
    dead: bool,
}

/// `heard` is the database's time when it last answered our heartbeat. A statement that is carried out much later has met
/// a database or a network that stood still; the other workers' heartbeats may be waiting right behind it.
async fn round(core: &Core, interval: Duration, heard: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let mut session = core.watch.open().await?;
    let asked = sqlx::query_scalar!(
        r#"with turn as (
               update queue.duty set done_at = now()
               where name = 'reap' and done_at <= now() - $1::bigint * interval '1 millisecond'
                 and now() - pg_postmaster_start_time() >= $2::bigint * interval '1 millisecond'
                 and now() <= $3::timestamptz + $4::bigint * interval '1 millisecond'
               returning name),
           gone as (update queue.worker set dead_at = now() where dead_at is null and lease_until < now() and exists (select from turn) returning id)
           select (select count(*) from gone) as "dead!" from turn"#,
        milliseconds(interval.mul_f64(0.7)),
        milliseconds(core.lease),
        heard,
        milliseconds(core.longest_silence())
    )
    .fetch_optional(&mut *session);
    let answer = tokio::time::timeout(core.lease, asked).await;
    let mine = core.watch.close(session, answer, core.lease).await?;
    let Some(dead) = mine else { return Ok(()) };
    if dead > 0 {
        tracing::warn!(worker = %core.name, count = dead, "workers did not renew their lease");
    }
    rescue_all(core).await
}

/// Each lost task is looked at once in a round. First all that go on, which costs little; then those that end.
async fn rescue_all(core: &Core) -> Result<(), sqlx::Error> {
    let mut ending = Vec::new();
    let mut after = 0;
    loop {
        let lost = look(core, after).await?;
        let is_last = (lost.len() as i64) < LARGEST;
        after = lost.last().map_or(after, |lost| lost.id);
        let (again, end): (Vec<Lost>, Vec<Lost>) =
            lost.into_iter().partition(|lost| lost.stop.is_none() && !lost.last);
        ending.extend(end);
        tell(core, give_back_all(core, again).await?).await;
        if is_last {
            break;
        }
    }
    let mut unanswered = false;
    for lost in ending {
        let ended = end_it(core, &lost).await;
        let again_unanswered =
            std::mem::replace(&mut unanswered, matches!(ended, Err(sqlx::Error::PoolTimedOut)));
        let bell = match ended {
            Ok(bell) => bell,
            // It may hang on so much that it takes long. Two in a row: the database does not answer.
            Err(sqlx::Error::PoolTimedOut) if !again_unanswered => Bell::silent(),
            Err(error) => passed_over(core, &lost, error)?,
        };
        tell(core, bell).await;
    }
    Ok(())
}

async fn tell(core: &Core, bell: Bell) {
    if !bell.is_silent() {
        core.wake_all();
        bell.ring(&core.watch.pool()).await;
    }
}

/// Whatever makes a task rescuable cannot be undone, so the token is all that the writes must check.
async fn look(core: &Core, after: i64) -> Result<Vec<Lost>, sqlx::Error> {
    let mut session = core.watch.open().await?;
    let asked = sqlx::query_as!(
        Lost,
        r#"select t.id, t.lease_token as "token!", t.worker_id as "worker!", t.attempt, t.claimed_at as "claimed_at!",
                  t.attempt >= coalesce(t.max_attempts, $2) as "last!", t.cancel_why as stop, w.id is null as "dead!"
           from queue.task t left join queue.worker w on w.id = t.worker_id and w.dead_at is null
           where t.worker_id is not null and (w.id is null or t.deadline_at < now()) and t.id > $3
           order by t.id limit $1"#,
        LARGEST,
        ATTEMPTS,
        after
    )
    .fetch_all(&mut *session);
    let answer = tokio::time::timeout(core.lease, asked).await;
    core.watch.close(session, answer, core.lease).await
}

/// One that the database refuses to change, or that somebody holds, keeps no other from its rescue; the next round tries it again.
fn passed_over(core: &Core, lost: &Lost, error: sqlx::Error) -> Result<Bell, sqlx::Error> {
    if !is_of_one_row(&error) {
        return Err(error);
    }
    tracing::warn!(worker = %core.name, task_id = lost.id, %error, "a lost task cannot be rescued now; the others are");
    metrics::database_error("reap");
    Ok(Bell::silent())
}

/// All in one statement; if that is refused, each in its own.
async fn give_back_all(core: &Core, lost: Vec<Lost>) -> Result<Bell, sqlx::Error> {
    if lost.is_empty() {
        return Ok(Bell::silent());
    }
    match give_back(core, &lost).await {
        Err(error) if is_of_one_row(&error) => {}
        together => return together,
    }
    let mut bell = Bell::silent();
    for lost in &lost {
        bell.merge(match give_back(core, std::slice::from_ref(lost)).await {
            Ok(bell) => bell,
            Err(error) => passed_over(core, lost, error)?,
        });
    }
    Ok(bell)
}

fn outcome(lost: &Lost) -> RunOutcome {
    if lost.dead { RunOutcome::LeaseExpired } else { RunOutcome::DeadlinePassed }
}

fn story(lost: &Lost) -> String {
    if lost.dead {
        format!("worker {} stopped renewing its lease", lost.worker)
    } else {
        "the run passed its deadline".to_owned()
    }
}

/// The attempt counts: a task that kills its worker must not do so for ever.
async fn give_back(core: &Core, lost: &[Lost]) -> Result<Bell, sqlx::Error> {
    let ids: Vec<i64> = lost.iter().map(|lost| lost.id).collect();
    let tokens: Vec<i64> = lost.iter().map(|lost| lost.token).collect();
    let dead: Vec<bool> = lost.iter().map(|lost| lost.dead).collect();
    let codes: Vec<i16> = lost.iter().map(|lost| outcome(lost).code()).collect();
    let stories: Vec<String> = lost.iter().map(story).collect();
    let workers: Vec<i64> = lost.iter().map(|lost| lost.worker).collect();
    let claimed: Vec<_> = lost.iter().map(|lost| lost.claimed_at).collect();
    let mut session = core.watch.open().await?;
    let asked = sqlx::query!(
        r#"with given as (select * from unnest((select $1::bigint[]), (select $2::bigint[]), (select $3::boolean[]), (select $4::smallint[]), (select $5::text[]), (select $6::bigint[]), (select $7::timestamptz[]))
                                        as u(id, token, dead, code, story, worker, claimed)),
           held as materialized (
               select t.id, g.token, g.dead, g.code, g.story, g.worker, g.claimed from given g join queue.task t on t.id = g.id
               where t.lease_token = g.token and t.state = 4 and t.cancel_why is null
               order by t.id for update of t skip locked),
           moved as (
               update queue.task t
               set state = case when h.dead then 0 else 1 end,
                   run_at = case when h.dead then t.run_at else now() + $8::bigint * interval '1 millisecond' end,
                   worker_id = null, claimed_at = null, deadline_at = null, wake = false, last_error = h.story
               from held h where t.id = h.id
               returning t.id, t.queue, t.attempt, h.token, h.code, h.story, h.worker, h.claimed),
           noted as (
               insert into queue.run (task_id, lease_token, started_at, worker_id, attempt, outcome, counted, error_class, error)
               select id, token, claimed, worker, attempt, code, true, 'rescued', story from moved)
           select id, queue, token from moved"#,
        &ids,
        &tokens,
        &dead,
        &codes,
        &stories,
        &workers,
        &claimed,
        milliseconds(AFTER_DEADLINE)
    )
    .fetch_all(&mut *session);
    let answer = tokio::time::timeout(core.lease, asked).await;
    let moved = core.watch.close(session, answer, core.lease).await?;
    // Rows that somebody holds are passed over; the next round finds them again, if they are still lost.
    for row in &moved {
        let Some(lost) = lost.iter().find(|lost| lost.id == row.id) else { continue };
        let outcome = outcome(lost).as_str();
        // Nobody else can tell how this attempt ended.
        tracing::warn!(
            task_id = lost.id,
            attempt = lost.attempt,
            lease_token = lost.token,
            outcome,
            "rescued a task"
        );
        metrics::rescued(outcome, 1);
    }
    Ok(Bell::of(moved.into_iter().map(|row| row.queue)))
}

/// It was asked to stop, or has no attempts left.
async fn end_it(core: &Core, lost: &Lost) -> Result<Bell, sqlx::Error> {
    let state = if lost.stop.is_some() { TaskState::Canceled } else { TaskState::Failed };
    // It waits for no row for long.
    let mut session = core.work.open_to_write().await?;
    let asked = sqlx::query_scalar!(
        "select queue.finish($1, $2, $3, null, $4, $5, $6)",
        lost.id,
        lost.token,
        state.code(),
        outcome(lost).as_str(),
        story(lost),
        lost.stop
    )
    .fetch_one(&mut *session);
    let answer = tokio::time::timeout(core.lease, asked).await;
    let ring = core.work.close(session, answer, core.lease).await?;
    if ring.is_some() {
        tracing::warn!(
            task_id = lost.id,
            lease_token = lost.token,
            attempt = lost.attempt,
            outcome = outcome(lost).as_str(),
            state = state.as_str(),
            "ended a task whose worker was lost"
        );
        metrics::rescued(outcome(lost).as_str(), 1);
    }
    Ok(Bell::of(ring.unwrap_or_default()))
}
