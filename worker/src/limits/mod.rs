//! This process's part in the limits that all workers share: turns are given, reads are paced, and all of it is shown.

mod gauges;
mod pump;
mod reads;

pub(crate) use pump::{put_off, start};
pub(crate) use reads::{Further, Reads};
