//! The life of one task in order, told from rows that are there anyway.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use super::{runs_of, sql, task};
use crate::{
    ending::RunOutcome,
    error::ControlError,
    id::{LeaseToken, TaskId, WorkerId},
    state::TaskState,
};

/// Something that happened to a task, or that it waits for now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// When; none for what is known to have happened but not when.
    pub at: Option<DateTime<Utc>>,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum What {
    /// It was enqueued.
    Created,
    /// A worker claimed it. Runs that parked are counted in `Parked` only.
    Claimed {
        /// The claim.
        token: LeaseToken,
        /// The worker process.
        worker: Option<WorkerId>,
        /// Its name, while its row is kept.
        worker_name: Option<String>,
        /// Which attempt it was.
        attempt: u16,
    },
    /// It parked so often in all its life. The time of each is not kept.
    Parked {
        /// How often.
        times: u32,
    },
    /// A run ended: retried, rescued, handed back, refused, or for good.
    RunEnded {
        /// The claim.
        token: LeaseToken,
        /// How.
        outcome: RunOutcome,
        /// Whether it used an attempt.
        counted: bool,
        /// The word to group errors by.
        error_class: Option<String>,
        /// What happened.
        error: Option<String>,
    },
    /// It ended, and then came back because somebody asked for it.
    Retried {
        /// What it had ended with.
        error: Option<String>,
    },
    /// It is asked to stop and still runs.
    AskedToStop {
        /// Why.
        why: String,
    },
    /// It waits: for its time, for something outside, for tasks, for a slot.
    Waits {
        /// How.
        state: TaskState,
        /// For what.
        why: Option<String>,
        /// The tasks it waits for.
        tasks: Vec<TaskId>,
    },
    /// It ended.
    Ended {
        /// How.
        state: TaskState,
        /// The word to group errors by.
        error_class: Option<String>,
        /// Why it was canceled.
        why: Option<String>,
    },
}

/// The ordered life of a task, from its creation to its end or to what it waits for. `Waits` has the time at which it may start.
/// Nothing is written for this: what leaves no row (the time of a park or a snooze) is not told.
///
/// # Errors
/// When the database refuses.
pub async fn timeline(conn: &mut PgConnection, id: TaskId) -> Result<Option<Vec<Event>>, ControlError> {
    let Some(task) = task(conn, id).await? else { return Ok(None) };
    let created = sqlx::query_scalar!(
        r#"select created_at as "at!" from queue.task where id = $1
           union all select created_at from queue.task_history where id = $1 limit 1"#,
        id.0
    )
    .fetch_optional(&mut *conn)
    .await
    .map_err(sql("reading when a task was made"))?;
    let returns =
        sqlx::query!("select ended_at, error from queue.run where task_id = $1 and outcome = 10", id.0)
            .fetch_all(&mut *conn)
            .await
            .map_err(sql("listing the retries of a task"))?;
    let mut events = Vec::new();
    let mut tell = |at, what| events.push(Event { at, what });
    for run in runs_of(conn, id).await? {
        tell(
            run.started_at,
            What::Claimed {
                token: run.token,
                worker: run.worker,
                worker_name: run.worker_name,
                attempt: run.attempt,
            },
        );
        if let Some(outcome) = run.outcome {
            let (counted, error_class, error) = (run.counted, run.error_class, run.error);
            tell(run.ended_at, What::RunEnded { token: run.token, outcome, counted, error_class, error });
        }
    }
    for back in returns {
        tell(Some(back.ended_at), What::Retried { error: back.error });
    }
    events.sort_by_key(|event| event.at);
    let mut whole = vec![Event { at: created, what: What::Created }];
    whole.append(&mut events);
    if task.parks > 0 {
        whole.push(Event { at: None, what: What::Parked { times: task.parks } });
    }
    match task.state {
        TaskState::Running => {
            whole.extend(task.why.map(|why| Event { at: None, what: What::AskedToStop { why } }));
        }
        state if state.is_final() => {
            let what = What::Ended { state, error_class: task.error_class, why: task.why };
            whole.push(Event { at: task.finished_at, what });
        }
        state => {
            let what = What::Waits { state, why: task.why, tasks: task.waits_for };
            whole.push(Event { at: Some(task.run_at), what });
        }
    }
    Ok(Some(whole))
}
