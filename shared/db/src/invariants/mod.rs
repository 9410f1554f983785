//! What must always hold of jobs, purchases and money. What is under way is looked at as a whole; the past in slices and in sums that
//! are carried on, so that a look costs the same however much there has been. Nothing is locked.

mod budgets;
mod jobs;
mod purchases;
mod round;

pub use budgets::{Base, Budgets, held, hold_ended, next_slice, settled};
pub use jobs::{Forgotten, ended_open, still_forgotten, suspects};
pub use purchases::{Slice, again, open, recent, slice};
pub use round::{Found, Kept, Place, claim, keep, kept};

/// Rows of one invariant that are told at most: more say nothing more.
pub const MOST: i64 = 1000;

/// A row that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which invariant.
    pub invariant: &'static str,
    /// Which row, for people: an id, or whose budget it is.
    pub subject: String,
}
