//! `/campaigns`: what a set of media and videos is for.

pub mod assets;
pub mod body;
pub mod create;
pub mod create_job;
pub mod list;
pub mod remove;
pub mod show;
pub mod stats;
pub mod update;
