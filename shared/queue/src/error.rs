//! What can go wrong when the queue is used from outside.

use crate::id::{LeaseToken, TaskId};

/// Any error of a handler.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A batch or a task could not be enqueued. The caller's transaction must be rolled back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnqueueError {
    /// The database refused.
    #[error("enqueue: {operation} failed")]
    Sql {
        /// Which statement.
        operation: &'static str,
        /// Why.
        source: sqlx::Error,
    },
    /// The payload could not be written as JSON.
    #[error("enqueue: the payload of a {kind} task is not JSON")]
    Payload {
        /// The kind of the task.
        kind: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The payload is larger than [`crate::PAYLOAD_LIMIT`].
    #[error(
        "enqueue: the payload of a {kind} task has {bytes} bytes, allowed are {limit}; store it elsewhere and pass its key"
    )]
    TooLarge {
        /// The kind of the task.
        kind: String,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The key is taken, and [`crate::Conflict::Report`] was asked for.
    #[error("enqueue: the key {key:?} of {kind} tasks is held by task {task}")]
    Taken {
        /// The kind of both tasks.
        kind: String,
        /// The key.
        key: String,
        /// The task that has it.
        task: TaskId,
    },
    /// A unique key changed hands again and again between being refused and being looked up. Trying the transaction again helps.
    #[error("enqueue: a unique key of {kind} tasks changes hands too often")]
    Contended {
        /// The kind of the task.
        kind: String,
    },
    /// A task was to wait for one that is neither in the queue nor in its history.
    #[error("enqueue: task {0} is not known, so nothing can wait for it")]
    UnknownTask(TaskId),
    /// `in_place_of` was used on a task that is final already: nothing waits for it any more.
    #[error("enqueue: task {0} has ended, so no task can stand in for it")]
    AlreadyFinal(TaskId),
    /// A task waits, directly or not, for itself.
    #[error("enqueue: the tasks of the batch wait for each other in a circle")]
    Cycle,
}

/// The lease is not held any more: another worker runs the task, or it was ended. Nothing was written.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the lease {token} on task {task} was lost; stop, the run that holds it now will do the work")]
pub struct LeaseLost {
    /// The task.
    pub task: TaskId,
    /// The stale token.
    pub token: LeaseToken,
}

/// A guarded write of a run did not happen; the transaction was rolled back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Somebody else holds the task now.
    #[error(transparent)]
    LeaseLost(#[from] LeaseLost),
    /// The database refused. Whether a failed `commit` took effect is not known; the queue finds out by the token.
    #[error("{operation} of task {task} failed")]
    Sql {
        /// Which step.
        operation: &'static str,
        /// The task.
        task: TaskId,
        /// Why.
        source: sqlx::Error,
    },
}

/// A command to the queue failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The database refused.
    #[error("queue: {operation} failed")]
    Sql {
        /// Which command.
        operation: &'static str,
        /// Why.
        source: sqlx::Error,
    },
    /// Only a task that failed or was canceled can be retried, and while the history keeps it.
    #[error("task {0} is not dead, so it cannot be retried")]
    NotDead(TaskId),
    /// The unique key of a dead task is taken by a live one.
    #[error("task {0} cannot be retried: another task with its unique key is in the queue")]
    KeyTaken(TaskId),
    /// A value makes no sense.
    #[error("queue: {name} {why}")]
    Setting {
        /// Which value.
        name: &'static str,
        /// What it must be.
        why: &'static str,
    },
}

/// A worker could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// A worker without handlers would do nothing.
    #[error("worker {0} has no handlers; add at least one")]
    NoHandlers(String),
    /// Two handlers want the same kind.
    #[error("two handlers were added for {0} tasks; each kind has one")]
    TwoHandlers(String),
    /// The database refused a question of [`crate::WorkerBuilder::drain`].
    #[error(transparent)]
    Drain(#[from] ControlError),
    /// A setting makes no sense.
    #[error("worker {name}: {why}")]
    Setting {
        /// The worker.
        name: String,
        /// What is wrong.
        why: String,
    },
}

/// A schedule could not be made or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// It is no cron expression.
    #[error("schedule: {cron:?} is no cron expression: {why}")]
    Cron {
        /// What was given.
        cron: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no such time zone.
    #[error("schedule: {zone:?} is no time zone of the IANA database, as Europe/Berlin is")]
    Zone {
        /// What was given.
        zone: String,
    },
    /// It would never fire: 30 February, or an interval of nothing.
    #[error("schedule: it would never fire")]
    Never,
    /// What the task says belongs to the schedule.
    #[error("schedule {name}: {why}")]
    Task {
        /// The schedule.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The payload is too large or no JSON.
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
    /// The database refused.
    #[error("schedule: {operation} failed")]
    Sql {
        /// Which statement.
        operation: &'static str,
        /// Why.
        source: sqlx::Error,
    },
}
