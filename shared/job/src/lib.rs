//! The vocabulary of Spool and its pure planning: kinds, specs, states, prices, plan -> tasks.
//!
//! No I/O and no clock of its own: everything here is a function of its arguments, so that the API
//! can plan inside the creating request and a test can ask any question without a database.

pub mod canonical;
pub mod catalog;
pub mod clock;
pub mod estimate;
pub mod hook_event;
pub mod media_input;
pub mod money;
pub mod origin;
pub mod photo;
pub mod planner;
pub mod prediction;
pub mod progress;
pub mod prompt;
pub mod quote;
pub mod spec;
pub mod state;
pub mod storyboard;
pub mod tasks;
