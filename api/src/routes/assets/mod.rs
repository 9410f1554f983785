//! `/assets`: the media that callers bring.

pub mod body;
pub mod data;
pub mod fields;
pub mod from_url;
pub mod list;
pub mod show;
pub mod thumbnail;
pub mod upload;
