//! Typed clients for the paid providers (Replicate, xAI): what travels on the wire, what an error means
//! for the money, signed webhooks, and downloads that check what they got.

pub mod wire;
pub mod xai;
