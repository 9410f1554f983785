//! This process's part in the limits that all workers share: turns are given and reads are paced.

mod line;
mod pump;
mod reads;

pub(crate) use pump::{put_off, start};
pub(crate) use reads::{Further, Reads};
