//! The HTTP API of Spool: takes a request, checks it, writes it down with the tasks it leads to in one
//! transaction, and answers. It renders nothing, calls no model, and holds no SQL.

pub mod approval;
pub mod asset_intake;
pub mod audit;
pub mod caller;
pub mod cancellation;
pub mod cli;
pub mod cors;
pub mod database;
pub mod defaults;
pub mod download;
pub mod error;
pub mod etag;
pub mod extract;
pub mod inspect;
pub mod key_rates;
pub mod layers;
pub mod limits;
pub mod links;
pub mod metrics;
pub mod older_settings;
pub mod openapi;
pub mod page;
pub mod readiness;
pub mod receive;
pub mod router;
pub mod routes;
pub mod serve;
pub mod server;
pub mod spend_gauges;
pub mod state;
pub mod validation;
pub mod webhook_secret;
