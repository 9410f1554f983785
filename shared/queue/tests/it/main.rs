//! The queue against a real Postgres.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bouncer;
mod control;
mod counting;
mod counts;
mod dag;
mod enqueue;
mod explain;
mod failures;
mod fencing;
mod harness;
mod lacking;
mod line;
mod outage;
mod outcomes;
mod pgbouncer;
mod plans;
mod recording;
mod rescue;
mod shutdown;
mod storm;
