//! What a program tells its operator: logs, metrics, build information, and when it has been asked to stop.
//!
//! Every metric of our own is declared in [`names`], with its unit and meaning; the queue declares its own
//! `spool_queue_*` because it stands alone. This crate knows nothing of jobs, tasks or money.

pub mod aliases;
pub mod build;
pub mod lifeline;
pub mod logging;
pub mod metrics;
pub mod names;
pub mod refusal;
