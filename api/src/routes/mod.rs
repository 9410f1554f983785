//! Handlers, one folder a noun, one file an endpoint: extract, one transaction, answer.

pub mod admin;
pub mod assets;
pub mod audio;
pub mod campaigns;
pub mod clients;
pub mod content;
pub mod docs;
pub mod health;
pub mod jobs;
pub mod metrics;
pub mod openapi;
pub mod provider_media;
pub mod provider_webhook;
pub mod scenes;
pub mod videos;
pub mod webhooks;
