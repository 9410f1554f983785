//! The queue against a real Postgres.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod control;
mod dag;
mod enqueue;
mod failures;
mod fencing;
mod harness;
mod line;
mod outage;
mod outcomes;
mod plain_sql;
mod recording;
mod rescue;
mod retention;
mod schedules;
mod shutdown;
mod unique;
