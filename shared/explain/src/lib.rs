//! Why a job stands where it stands: the gates that each of its tasks has not passed, its place in the line, and when it will
//! probably end; in sentences for people and in fields for programs.
//!
//! The queue knows of tasks, workers and limits, our own tables of money and providers; here the two are put together. What is
//! read in [`explain`] is read by a bounded number of statements, all else is a function of it. What must always hold of the two
//! together is in [`invariants`].

mod answer;
mod facts;
mod forecast;
#[cfg(test)]
mod forecast_tests;
mod gate;
pub mod invariants;
mod story;
mod task_gates;
mod words;

pub use answer::{Basis, Estimate, Explanation, FirstFailure, Line, Order, Position, TaskExplanation};
pub use gate::{Gate, Parent};

use spool_db::error::DbError;
use spool_queue::{ControlError, TaskState};
use sqlx::PgConnection;
use uuid::Uuid;

use facts::Facts;
use spool_queue::inspect::TaskOutlook;

/// Why a job could not be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// Our own tables could not be read.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The queue could not be read.
    #[error(transparent)]
    Queue(#[from] ControlError),
}

/// Explains a job; none when there is no such job, or with `owner`, when it is not that client's. 21 statements at most, and two
/// more for each provider before which it waits, whatever the size of the job; nothing is locked, and each statement sees its own
/// moment.
///
/// # Errors
/// When the database refuses, or holds something that this program does not know.
pub async fn explain(
    conn: &mut PgConnection,
    job_id: i64,
    owner: Option<Uuid>,
) -> Result<Option<Explanation>, ExplainError> {
    Ok(facts::read(conn, job_id, owner).await?.map(|facts| assemble(job_id, &facts)))
}

/// The explanation of what was read.
fn assemble(job_id: i64, facts: &Facts) -> Explanation {
    let (forecasts, end) = forecast::forecast(facts);
    let tasks: Vec<TaskExplanation> = facts
        .outlook
        .tasks
        .iter()
        .map(|task| {
            let gates = task_gates::gates(facts, task);
            let (start, end) = match (forecasts.get(&task.view.id.0), task.view.finished_at) {
                (Some(forecast), _) => (forecast.start.clone(), forecast.end.clone()),
                (None, Some(at)) => {
                    let start = task.view.started_at.map(Estimate::past);
                    (start.unwrap_or_else(|| Estimate::unknown("it never started")), Estimate::past(at))
                }
                (None, None) => {
                    let unknown = || Estimate::unknown("what it waits for is not known");
                    (unknown(), unknown())
                }
            };
            TaskExplanation {
                task_id: task.view.id.0,
                kind: task.view.kind.clone(),
                queue: task.view.queue.clone(),
                scene: facts.scene_of(task),
                state: task.view.state.as_str(),
                sentence: story::of_task(facts, task, &gates),
                position: position(facts, task),
                attempt: task.view.attempt,
                estimated_start: start,
                estimated_end: end,
                gates,
            }
        })
        .collect();
    let gates = story::gates(facts, &tasks);
    let first_failure = first_failure(facts);
    let estimated_end = match facts.job.finished_at {
        Some(at) => Estimate::past(at),
        None if tasks.is_empty() => Estimate::unknown(story::not_begun(facts)),
        None => end,
    };
    Explanation {
        job_id,
        status: facts.job.state,
        sentence: story::of_job(facts, &tasks, &gates, first_failure.as_ref()),
        at: facts.now(),
        gates,
        estimated_end,
        first_failure,
        request_id: facts.job.origin.as_ref().map(|origin| origin.request_id.clone()),
        trace_id: facts.job.origin.as_ref().and_then(|origin| origin.trace_id()).map(str::to_owned),
        tasks,
    }
}

fn position(facts: &Facts, task: &TaskOutlook) -> Option<Position> {
    if task.view.state == TaskState::Ready {
        let order = if facts.queue(&task.view.queue)?.fair { Order::Fair } else { Order::Age };
        return Some(Position { line: Line::Queue, ahead: task.ahead, order });
    }
    let id = task.view.id.0;
    if task.view.state.is_final() {
        None
    } else if let Some(place) = facts.lines.get(&id) {
        Some(Position { line: Line::Provider, ahead: Some(place.ahead), order: Order::Fair })
    } else {
        let ahead = *facts.money_lines.get(&id)?;
        Some(Position { line: Line::Money, ahead: Some(ahead), order: Order::Age })
    }
}

fn first_failure(facts: &Facts) -> Option<FirstFailure> {
    let failed = facts.outlook.tasks.iter().filter(|task| task.view.state == TaskState::Failed);
    let first = failed.min_by_key(|task| (task.view.finished_at, task.view.id))?;
    Some(FirstFailure {
        task_id: first.view.id.0,
        kind: first.view.kind.clone(),
        scene: facts.scene_of(first),
        at: first.view.finished_at.unwrap_or(facts.now()),
        error_class: first.view.error_class.clone(),
        error: first.view.last_error.clone().unwrap_or_else(|| "no error was given".to_owned()),
    })
}
