//! Registers the worker and keeps its lease. On a timer of its own: nothing that handlers do can delay it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use tokio::sync::watch;

use crate::{
    ending::{Again, RunOutcome},
    finish::{self, AgainRow, Fence},
    id::{LeaseToken, TaskId, WorkerId},
    insert::milliseconds,
    lack, metrics,
    run::StopReason,
    state::TaskState,
    worker::core::{Backoff, Core},
};

/// What the database says of this worker.
struct Answer {
    alive: bool,
    heard: DateTime<Utc>,
    running: Vec<Row>,
}

struct Row {
    task: TaskId,
    token: LeaseToken,
    attempt: u16,
    claimed_at: DateTime<Utc>,
    stop: bool,
    /// Claimed longer than a lease ago.
    old: bool,
}

/// What this worker knows of the database; none while it does not answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contact {
    /// Since when it has answered without interruption.
    pub(crate) since: Instant,
    /// Its time when it last answered.
    pub(crate) heard: DateTime<Utc>,
}

pub(crate) type Healthy = watch::Sender<Option<Contact>>;

/// Registers until it works or the worker is stopped. The reaper may rescue only one lease after this moment.
pub(crate) async fn register(core: &Core, healthy: &Healthy) -> bool {
    let mut backoff = Backoff::new();
    let mut said = false;
    loop {
        if !said {
            said = say_what_is_lacking(core).await;
        }
        match try_register(core).await {
            Ok((id, heard)) => {
                core.set_id(id);
                healthy.send_replace(Some(Contact { since: Instant::now(), heard }));
                metrics::connected(true);
                tracing::info!(worker = %core.name, worker_id = id.0, "registered");
                return true;
            }
            Err(error) => core.failed("register", &error),
        }
        tokio::select! {
            () = backoff.pause() => {}
            () = core.stopping.cancelled() => return false,
        }
    }
}

/// A database that cannot be reached is asked again. What it lacks may be put right while the worker waits, so it only says it.
async fn say_what_is_lacking(core: &Core) -> bool {
    let asked = async {
        let mut session = core.watch.open().await?;
        let answer = tokio::time::timeout(core.longest_silence(), lack::lacks(&mut session)).await;
        core.watch.close(session, answer, core.longest_silence()).await
    };
    match asked.await {
        Ok(lacks) => {
            for lack in lacks {
                tracing::error!(worker = %core.name, "{lack}");
            }
            true
        }
        Err(error) if core.listen && lack::is_poolers(&error) => {
            tracing::error!(worker = %core.name, "the database is behind PgBouncer: build the worker with pgbouncer(true)");
            true
        }
        Err(_) => false,
    }
}

async fn try_register(core: &Core) -> Result<(WorkerId, DateTime<Utc>), sqlx::Error> {
    let slots: HashMap<&str, usize> =
        core.lanes.iter().map(|lane| (lane.queue.as_str(), lane.slots)).collect();
    let mut session = core.watch.open().await?;
    let row = sqlx::query!(
        "insert into queue.worker (name, host, pid, slots, lease_until)
         values ($1, $2, $3, $4, now() + $5::bigint * interval '1 millisecond') returning id, beat_at",
        core.name,
        host(),
        std::process::id() as i32,
        Json(slots) as _,
        milliseconds(core.lease)
    )
    .fetch_one(&mut *session)
    .await?;
    session.done().await?;
    Ok((WorkerId(row.id), row.beat_at))
}

fn host() -> String {
    let from_kernel =
        || std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    std::env::var("HOSTNAME")
        .ok()
        .or_else(from_kernel)
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}

/// Renews the lease until the worker ends.
pub(crate) async fn run(core: Arc<Core>, healthy: Healthy) {
    let mut backoff = Backoff::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(core.heartbeat) => {}
            () = core.beat_now.notified() => {}
            () = core.ending.cancelled() => return,
        }
        while let Err(error) = beat(&core, &healthy).await {
            healthy.send_replace(None);
            metrics::connected(false);
            core.failed("heartbeat", &error);
            tokio::select! {
                () = backoff.pause() => {}
                () = core.ending.cancelled() => return,
            }
        }
        backoff.reset();
    }
}

async fn beat(core: &Core, healthy: &Healthy) -> Result<(), sqlx::Error> {
    // Tokens that were admitted before the question was asked: only of these the answer can say that they are gone.
    let known: HashSet<i64> = core.with_live(|live| live.keys().copied().collect());
    let asked = Instant::now();
    let answer = ask(core).await?;
    let before = *healthy.borrow();
    if before.is_none() {
        metrics::connected(true);
    }
    let since = match before {
        Some(before) if !stood_still(core, before.heard, answer.heard) => before.since,
        _ => asked,
    };
    healthy.send_replace(Some(Contact { since, heard: answer.heard }));
    if !answer.alive {
        metrics::lease_lost();
        tracing::warn!(worker = %core.name, worker_id = core.id().0, "this worker was given up for dead; its tasks run elsewhere");
        core.stop_all(StopReason::LeaseLost);
        register(core, healthy).await;
        core.wake_all();
        return Ok(());
    }
    let held: HashSet<i64> = answer.running.iter().map(|row| row.token.0).collect();
    let stops: HashSet<i64> = answer.running.iter().filter(|row| row.stop).map(|row| row.token.0).collect();
    core.with_live(|live| {
        for (token, entry) in live {
            if stops.contains(token) {
                entry.shared.stop(StopReason::Canceled);
            } else if known.contains(token) && !held.contains(token) && !entry.shared.wrote_itself() {
                tracing::debug!(task_id = entry.task.0, lease_token = token, "the task is not ours any more");
                entry.shared.stop(StopReason::LeaseLost);
            }
        }
    });
    hand_back_orphans(core, answer.running.iter().filter(|row| row.old)).await
}

/// Before the worker signs off: what it claimed and never heard of waits for nobody's rescue.
pub(crate) async fn hand_back_rest(core: &Core) -> Result<(), sqlx::Error> {
    let answer = ask(core).await?;
    hand_back_orphans(core, answer.running.iter()).await
}

/// A database or a network that stood still without breaking a connection looks like this and no other way.
fn stood_still(core: &Core, before: DateTime<Utc>, heard: DateTime<Utc>) -> bool {
    (heard - before).to_std().is_ok_and(|gap| gap > core.longest_silence())
}

/// A connection that gives no answer in time is closed, not returned: it would hold its place among the few that there are.
async fn ask(core: &Core) -> Result<Answer, sqlx::Error> {
    let end = tokio::time::Instant::now() + core.longest_silence();
    let Ok(session) = tokio::time::timeout_at(end, core.watch.open()).await else {
        return Err(sqlx::Error::PoolTimedOut);
    };
    let mut session = session?;
    let id = core.id();
    let asked = sqlx::query!(
        r#"with me as (
               update queue.worker set beat_at = now(), lease_until = now() + $2::bigint * interval '1 millisecond'
               where id = $1 and dead_at is null returning id)
           select m.id as "me?", t.id as "task?", t.lease_token as "token?", t.attempt as "attempt?", t.claimed_at as "claimed_at?",
                  t.cancel_why is not null as "stop!", coalesce(t.claimed_at < now() - $2::bigint * interval '1 millisecond', false) as "old!",
                  now() as "heard!"
           from (select 1) one left join me m on true left join queue.task t on t.worker_id = $1"#,
        id.0,
        milliseconds(core.lease)
    )
    .fetch_all(&mut *session);
    let answer = tokio::time::timeout_at(end, asked).await;
    let rows = core.watch.close(session, answer, core.longest_silence()).await?;
    let first = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let (alive, heard) = (first.me.is_some(), first.heard);
    let running = rows
        .into_iter()
        .filter_map(|row| {
            Some(Row {
                task: TaskId(row.task?),
                token: LeaseToken(row.token?),
                attempt: row.attempt?.unsigned_abs(),
                claimed_at: row.claimed_at?,
                stop: row.stop,
                old: row.old,
            })
        })
        .collect();
    Ok(Answer { alive, heard, running })
}

/// A claim whose answer was lost on the way leaves tasks that this worker holds without knowing it.
async fn hand_back_orphans(core: &Core, running: impl Iterator<Item = &Row>) -> Result<(), sqlx::Error> {
    let again = Again {
        state: TaskState::Ready,
        delay: Duration::ZERO,
        at: None,
        why: None,
        class: None,
        error: None,
        outcome: Some(RunOutcome::HandedBack),
    };
    let orphans: Vec<AgainRow<'_>> = core.with_live(|live| {
        let fence = |row: &Row| Fence {
            task: row.task,
            token: row.token,
            worker: core.id(),
            attempt: row.attempt,
            claimed_at: row.claimed_at,
        };
        running
            .filter(|row| !live.contains_key(&row.token.0))
            .map(|row| AgainRow { fence: fence(row), again: &again })
            .collect()
    });
    if orphans.is_empty() {
        return Ok(());
    }
    tracing::warn!(worker = %core.name, count = orphans.len(), "tasks were claimed but never arrived; handed back");
    let mut session = core.watch.open().await?;
    let answer =
        tokio::time::timeout(core.longest_silence(), finish::again_many(&mut session, &orphans)).await;
    let written = core.watch.close(session, answer, core.longest_silence()).await?;
    metrics::rescued(RunOutcome::HandedBack.as_str(), written.len() as u64);
    core.wake_all();
    Ok(())
}

/// Ends the lease, so that nothing has to wait for it to run out.
pub(crate) async fn sign_off(core: &Core) -> Result<(), sqlx::Error> {
    let mut session = core.watch.open().await?;
    sqlx::query!(
        "update queue.worker set stopped_at = now(), dead_at = coalesce(dead_at, now()), lease_until = now() where id = $1",
        core.id().0
    )
    .execute(&mut *session)
    .await?;
    session.done().await
}
