//! The whole system on one machine: Postgres, simulator, API and workers, started and stopped in order.

pub(crate) mod options;
pub(crate) mod programs;
pub(crate) mod ready;
pub(crate) mod running_file;
pub(crate) mod schema;
pub(crate) mod start;
