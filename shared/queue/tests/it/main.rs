//! The queue against a real Postgres.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod control;
mod crossing;
mod dag;
mod dead;
mod deadlines;
mod drain;
mod enqueue;
mod failures;
mod family;
mod fencing;
mod harness;
mod limits;
mod line;
mod order;
mod outage;
mod outcomes;
mod plain_sql;
mod progress;
mod recording;
mod rescue;
mod retention;
mod retry;
mod schedules;
mod shutdown;
mod timeline;
mod timing;
mod unique;
mod versions;
