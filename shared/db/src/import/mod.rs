//! Rows that come from the older systems, with the ids and times they had there, and the register of all that was read.
//!
//! What is here already is never overwritten: each insert says whether it was the one that made the row.

pub mod accounts;
pub mod briefs;
pub mod jobs;
pub mod purchases;
pub mod register;
