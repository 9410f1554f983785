//! A worker: claims tasks, runs handlers, records outcomes, keeps its lease.

mod builder;

pub use builder::{Worker, WorkerBuilder};
