//! `/clients`: whom videos are made for.

pub mod body;
pub mod campaigns;
pub mod create;
pub mod list;
pub mod remove;
pub mod show;
pub mod stats;
pub mod update;
