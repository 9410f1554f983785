//! `/assets`: the media that callers bring.

pub mod body;
pub mod data;
pub mod fields;
pub mod from_url;
pub mod from_urls;
pub mod list;
pub mod remove;
pub mod show;
pub mod thumbnail;
pub mod unified;
pub mod update;
pub mod upload;
