//! A worker: claims tasks, runs handlers, records outcomes, keeps its lease.
//!
//! One process start has one row and one lease. Per queue there is a claimer and an apalis worker; for all of them together
//! one completer, one heartbeat, one reaper, one look-out and one listener, each a loop of its own that outlives the database.

mod backend;
mod beat;
mod builder;
mod claimer;
mod completer;
mod core;
mod cursor;
mod drain;
mod execute;
mod expire;
mod listener;
mod lookout;
mod maintain;
mod reaper;
mod reporter;
mod running;
mod scheduler;
mod session;
mod vacuum;

pub use builder::WorkerBuilder;
pub use running::Worker;
