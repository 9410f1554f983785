//! The API over HTTP, against a real Postgres and real media: every route, every family of refusals.

mod app;
mod assets;
mod auth;
mod budgets;
mod campaigns;
mod cancel;
mod clients;
mod documents;
mod downloads;
mod dry_run;
mod errors;
mod explain;
mod health;
mod jobs;
mod limits;
mod media;
mod parameters;
mod retry;
mod scenes;
mod spend;
mod videos;
mod webhook;
