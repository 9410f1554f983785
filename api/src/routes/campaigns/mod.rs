//! `/campaigns`: what a set of media and videos is for.

pub mod body;
pub mod create;
pub mod create_job;
pub mod list;
pub mod show;
