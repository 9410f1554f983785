//! A faithful local stand-in for the paid providers: Replicate's HTTP API, its CDN on a port of its own, and
//! xAI's chat completions. It makes real media, keeps a ledger of what it would have charged, and breaks on
//! request. What it claims is checked by the official clients, so it is an oracle and not a mock.

mod book;
mod bucket;
mod canonical;
mod clock;
pub mod config;
pub mod error;
pub mod fault;
mod faults;
mod fetch;
mod ffmpeg_args;
mod files;
mod http;
mod id;
mod journal;
mod ledger;
mod measure;
mod model;
mod net;
mod outbound;
mod price;
mod record;
mod requests;
mod rules;
mod run;
mod schema;
mod server;
mod sim;
mod studio;
mod webhook;
mod xai;

pub use config::Config;
pub use error::SimulatorError;
pub use server::Simulator;
