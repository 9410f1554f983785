//! `/admin/predictions`: paid calls as they stand, and an operator's word on those in doubt.

pub mod list;
pub mod resolve;
