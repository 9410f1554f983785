//! Webhooks to callers, around the step that sends them (`steps/deliver.rs`): when a try is repeated and how endpoints share the
//! workers.

mod shares;
mod verdict;

pub(crate) use shares::{limit, slow_down, speed_up};
pub(crate) use verdict::{Tried, is_gone, next};
