//! One extractor a file: what a handler may ask of a request, each with our own refusals.

pub mod casing;
pub mod json;
pub mod path;
pub mod query;
