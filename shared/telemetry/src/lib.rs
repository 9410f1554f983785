//! What a program tells its operator: logs, traces, metrics, build information, and when it has been asked to stop.
//!
//! Every metric is declared in [`vocabulary`], with its unit, labels and meaning, every log field in [`fields`]. This crate knows nothing
//! of jobs, tasks or money but those words.

pub mod aliases;
pub mod build;
pub mod declared;
pub mod fields;
pub mod lifeline;
pub mod logging;
pub mod metrics;
pub mod names;
pub mod programs;
pub mod redact;
pub mod refusal;
pub mod samples;
pub mod traces;
pub mod vocabulary;
