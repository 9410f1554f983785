//! The queue against a real Postgres.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bouncer;
mod control;
mod counting;
mod counts;
mod crossing;
mod dag;
mod dead;
mod deadlines;
mod doorbell;
mod drain;
mod enqueue;
mod explain;
mod failures;
mod family;
mod fencing;
mod harness;
mod idle;
mod keys_again;
mod lacking;
mod limits;
mod line;
mod order;
mod outage;
mod outcomes;
mod outlook;
mod pgbouncer;
mod plain_sql;
mod plans;
mod poison;
mod progress;
mod recording;
mod rescue;
mod retention;
mod retry;
mod schedules;
mod shutdown;
mod stale;
mod storm;
mod timeline;
mod timing;
mod unique;
mod vacuum;
mod versions;
