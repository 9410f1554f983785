//! `/admin/spend`: what was spent, on what, and what it was good for.

pub mod days;
pub mod report;
pub mod table;
pub mod waste;
