//! What an explanation says: sentences for people, fields for programs.

use chrono::{DateTime, Utc};
use serde::Serialize;
use spool_job::state::JobState;

use crate::gate::Gate;

/// Why a job stands where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Explanation {
    pub job_id: i64,
    /// As in the job: `pending`, `processing` and so on.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub status: JobState,
    /// One sentence for people.
    pub sentence: String,
    /// When this was so, by the database's clock.
    pub at: DateTime<Utc>,
    /// What keeps the job from going on, most urgent first, each once: of all its tasks that wait for nothing but this.
    pub gates: Vec<Gate>,
    /// When the job ends.
    pub estimated_end: Estimate,
    /// The task that failed first, if one did.
    pub first_failure: Option<FirstFailure>,
    /// The request that its tasks were last enqueued for: log lines of all processes carry this id.
    pub request_id: Option<String>,
    /// The trace of all that was done for it, where traces are on.
    pub trace_id: Option<String>,
    /// The tasks of the present revision, in the order in which they were made.
    pub tasks: Vec<TaskExplanation>,
}

/// Why a task stands where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskExplanation {
    pub task_id: i64,
    /// Such as `render`.
    pub kind: String,
    pub queue: String,
    /// The scene that it is about, from 1.
    pub scene: Option<i32>,
    /// `ready`, `scheduled`, `parked`, `blocked`, `running`, `succeeded`, `failed` or `canceled`.
    pub state: &'static str,
    /// One sentence for people.
    pub sentence: String,
    /// What it has not passed yet; empty for a task that runs, has ended, or is next.
    pub gates: Vec<Gate>,
    /// Where it stands in the line that it waits in: that of its queue, of a provider or for money; null when it is in none.
    pub position: Option<Position>,
    /// Attempts that count, the running one included.
    pub attempt: u16,
    /// When it starts; when it started, if it has. For what is bought: the call.
    pub estimated_start: Estimate,
    /// When it ends; when it ended, if it has.
    pub estimated_end: Estimate,
}

/// A place in a line, as things stand now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Position {
    pub line: Line,
    /// Tasks that go before it. Of a queue: ready ones; null when there are more than 10,000, or when its client has all that it
    /// may. Of a provider: all that want its calls, but for models that are paused or whose breaker is open. For money: those
    /// that have waited longer, whichever limit they wait for.
    pub ahead: Option<u64>,
    pub order: Order,
}

/// What is waited for in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", schema(as = WaitingLine))]
pub enum Line {
    /// A worker, among the ready tasks of its queue.
    Queue,
    /// A turn with a provider.
    Provider,
    /// Money.
    Money,
}

/// How a line decides who is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", schema(as = QueueOrder))]
pub enum Order {
    /// By the time at which tasks became ready or began to wait. In a queue each point of priority is a head start of a minute:
    /// only a task of higher priority that comes within that time still goes before.
    Age,
    /// Clients in turn, by weight; by age within a client. A client that has nothing waiting now may still come before.
    Fair,
}

/// A moment that is not known exactly. What is not known at all is null, and `reason` says why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Estimate {
    /// If all goes as in half of the cases, or the moment itself if it is past.
    pub early: Option<DateTime<Utc>>,
    /// If all takes as long as in 5 of 100 cases.
    pub late: Option<DateTime<Utc>>,
    /// What the times are taken from; null where none were needed.
    pub basis: Option<Basis>,
    /// Why one of them is not known.
    pub reason: Option<String>,
}

impl Estimate {
    /// It has happened.
    pub(crate) const fn past(at: DateTime<Utc>) -> Self {
        Self { early: Some(at), late: Some(at), basis: None, reason: None }
    }

    /// It cannot be known.
    pub(crate) fn unknown(reason: impl Into<String>) -> Self {
        Self { early: None, late: None, basis: None, reason: Some(reason.into()) }
    }
}

/// What an estimate is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = EstimateBasis))]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Basis {
    /// So many recent runs; of several kinds, that of which there were fewest.
    History { runs: u64 },
    /// Nothing of the kind has run here often enough: built-in figures.
    Default,
}

impl Basis {
    /// The one to trust less.
    pub(crate) fn weaker(self, other: Self) -> Self {
        match (self, other) {
            (Self::History { runs: one }, Self::History { runs: two }) => {
                Self::History { runs: one.min(two) }
            }
            _ => Self::Default,
        }
    }
}

/// The first thing that went wrong for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FirstFailure {
    pub task_id: i64,
    pub kind: String,
    /// The scene that it was about, from 1.
    pub scene: Option<i32>,
    pub at: DateTime<Utc>,
    /// A word to group errors by.
    pub error_class: Option<String>,
    pub error: String,
}
