//! Files by content: an object store addressed by SHA-256, FFmpeg and what is built from it (probe, stitch,
//! music, mix, verification, thumbnails), byte ranges and signed links.

mod cut;
pub mod error;
pub mod ffmpeg;
pub mod image;
pub mod inventory;
pub mod key;
pub mod kind;
pub mod link;
pub mod mix;
pub mod music;
pub mod probe;
pub mod profile;
pub mod range;
pub mod scratch;
pub mod stitch;
pub mod store;
pub mod thumbnail;
pub mod verify;
