//! Gates: what a task must pass before it goes on, one kind each, with what a program needs to know of it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

/// Something that a task or a job waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "gate", rename_all = "snake_case")]
pub enum Gate {
    /// The job was not approved yet.
    Approval {
        /// What it may spend once it is, in micro-dollars.
        estimate_micros: i64,
    },
    /// A language model still writes the storyboard.
    Planning,
    /// Other tasks that must end first.
    Parents { tasks: Vec<Parent> },
    /// Its time has not come: it was put off, or rests after a failed attempt.
    RunAt {
        at: DateTime<Utc>,
        /// What went wrong at the last attempt, if that is why.
        error: Option<String>,
    },
    /// It waits for something outside.
    Parked {
        why: String,
        /// It looks again at this moment, or earlier when it is woken.
        until: DateTime<Utc>,
    },
    /// The provider has not finished what was bought.
    Prediction {
        prediction_id: Uuid,
        model: String,
        /// `intent`, `submitted`, `unknown` or `in_doubt`.
        state: &'static str,
        since: DateTime<Utc>,
    },
    /// Somebody has paused its queue.
    QueuePaused { queue: String, why: String, since: DateTime<Utc> },
    /// No live worker serves its queue.
    NoWorker { queue: String },
    /// All slots of all workers for its queue are taken.
    Slots { queue: String, slots: u64, running: u64 },
    /// As many tasks of the queue run as may.
    QueueLimit { queue: String, limit: u64, running: u64 },
    /// As many tasks of its share (its client) run as may.
    ShareLimit { queue: String, share: String, limit: u64, running: u64 },
    /// The queue has started as many tasks as it may in this time.
    QueueRate {
        queue: String,
        /// Starts in each `per_ms`.
        tasks: u32,
        per_ms: u64,
        opens_at: DateTime<Utc>,
    },
    /// The purchase would pass a hard limit.
    Budget {
        /// `all`, `client`, `campaign` or `job`.
        scope: &'static str,
        /// Id of the client, campaign or job; empty for `all`.
        scope_id: String,
        /// `day`, `month` or `total`.
        period: &'static str,
        hard_micros: i64,
        /// What the purchase costs.
        wanted_micros: i64,
        /// By how much it would pass the limit.
        missing_micros: i64,
        /// When the next period begins; null for a total.
        turns_at: Option<DateTime<Utc>>,
    },
    /// Somebody has stopped all spending.
    EmergencyStop { why: String, since: DateTime<Utc> },
    /// Calls of this provider's model are held back.
    Provider {
        provider: String,
        model: String,
        /// `pause`, `breaker`, `in_flight`, `rate` or `line`.
        obstacle: &'static str,
        why: String,
        /// When it is over; null: nobody knows.
        until: Option<DateTime<Utc>>,
    },
    /// Its deadline has passed: it is about to fail.
    Deadline { at: DateTime<Utc> },
    /// Its worker is gone; another takes it over.
    LostWorker { queue: String },
    /// It was asked to stop.
    Stopping { why: String },
}

/// A task that another one waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ParentTask))]
pub struct Parent {
    pub task_id: i64,
    /// Such as `render`.
    pub kind: String,
    /// The scene that it is about, from 1.
    pub scene: Option<i32>,
    /// Where it stands, such as `running`.
    pub state: &'static str,
}

impl Gate {
    /// What a person should hear of first: 0 comes before 1. What needs a person stands before what passes by itself.
    pub(crate) const fn urgency(&self) -> u8 {
        match self {
            Self::Approval { .. } | Self::Planning => 0,
            Self::EmergencyStop { .. } => 1,
            Self::NoWorker { .. } => 2,
            Self::QueuePaused { .. } => 3,
            Self::Budget { .. } => 4,
            Self::Provider { .. } => 5,
            Self::Deadline { .. } | Self::LostWorker { .. } | Self::Stopping { .. } => 6,
            Self::QueueLimit { .. } | Self::ShareLimit { .. } | Self::QueueRate { .. } => 7,
            Self::Slots { .. } => 8,
            Self::RunAt { .. } | Self::Parked { .. } => 9,
            Self::Prediction { .. } => 10,
            Self::Parents { .. } => 11,
        }
    }

    /// The provider works on it: nothing is in the way, it only takes its time.
    pub(crate) fn is_progress(&self) -> bool {
        matches!(self, Self::Prediction { state: "submitted" | "intent", .. })
    }
}
