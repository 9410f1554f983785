//! The queue against a real Postgres.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod control;
mod dag;
mod enqueue;
mod failures;
mod fencing;
mod harness;
mod limits;
mod line;
mod order;
mod outage;
mod outcomes;
mod recording;
mod rescue;
mod shutdown;
