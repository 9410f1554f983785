//! `/admin/limits`: what may be asked of a provider by all workers together.

pub mod body;
pub mod list;
pub mod reset;
pub mod set;
pub mod weights;
