//! `/jobs/{id}/scenes`: the shots of a job and what became of each.

pub mod body;
pub mod list;
pub mod show;
