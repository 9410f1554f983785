//! Webhooks to callers: endpoints, deliveries and tries. Deliveries of job events are written by a trigger of the database (migration
//! 0015), in the transaction of the event: no code that changes a job can forget them.

pub mod deliveries;
pub mod endpoints;
pub mod log;
pub mod sending;
pub mod standing;
