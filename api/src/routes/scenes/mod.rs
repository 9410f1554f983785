//! `/jobs/{id}/scenes`: the shots of a job and what became of each.

pub mod body;
pub mod edit;
pub mod list;
pub mod refine;
pub mod regenerate;
pub mod remove;
pub mod reorder;
pub mod show;
pub mod update;
