//! Typed clients for the paid providers (Replicate, xAI): what travels on the wire, what an error means
//! for the money, signed webhooks, and downloads that check what they got.

pub mod client;
pub mod download;
pub mod failure;
pub mod guard;
pub mod http;
pub mod verdict;
pub mod webhook;
pub mod wire;
pub mod xai;
