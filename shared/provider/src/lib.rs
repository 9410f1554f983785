//! Typed clients for the paid providers (Replicate, xAI): what travels on the wire, what an error means
//! for the money, signed webhooks in both directions, and downloads that check what they got.

pub mod client;
pub mod download;
pub mod failure;
pub mod guard;
pub mod hook;
pub mod hook_secret;
pub mod http;
mod unlogged;
pub mod verdict;
pub mod webhook;
pub mod wire;
pub mod xai;
