//! Our own tables against a real Postgres, a database per test.

mod fixture;
mod jobs;
mod predictions;
mod schema;
