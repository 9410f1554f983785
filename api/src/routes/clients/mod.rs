//! `/clients`: whom videos are made for.

pub mod body;
pub mod create;
pub mod list;
pub mod show;
