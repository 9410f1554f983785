//! `/webhooks`: endpoints of callers that are told what happens to jobs, and the log of what they were told.

pub mod deliveries;
pub mod endpoints;
