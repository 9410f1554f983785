//! Other programs as children: start, watch, start again, stop in order, leave nothing behind.

pub(crate) mod data_folder;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod service;
pub(crate) mod strays;
