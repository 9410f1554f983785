//! The durable queue of Spool.
#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod batch;
mod bell;
mod claim;
pub mod control;
mod ending;
mod error;
mod finish;
mod handler;
mod id;
mod insert;
pub mod inspect;
pub mod invariants;
mod keys;
mod lack;
pub mod limits;
pub mod metrics;
mod migrate;
mod outcome;
mod parents;
mod progress;
mod retention;
mod retry;
mod rows;
mod run;
pub mod schedule;
mod state;
mod task;
mod testing;
mod unique;
mod worker;

pub use batch::{Batch, Enqueued, OnFailure, Slot};
pub use bell::Bell;
pub use ending::RunOutcome;
pub use error::{BoxError, CommitError, ControlError, EnqueueError, LeaseLost, ScheduleError, WorkerError};
pub use handler::{Completion, Handler};
pub use id::{LeaseToken, TaskId, WorkerId};
pub use lack::{Lack, lacks};
pub use migrate::{MIGRATOR, migrate};
pub use outcome::{Committed, Done, Failure, Outcome, ParkUntil};
pub use parents::Parent;
pub use retry::RetryPolicy;
pub use run::{Run, StopReason};
pub use state::TaskState;
pub use task::{NewTask, PAYLOAD_LIMIT};
pub use testing::TestRun;
pub use unique::{Conflict, Unique};
pub use worker::{Worker, WorkerBuilder};
