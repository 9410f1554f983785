//! The media crate against the real FFmpeg, on small films made here.

mod films;
mod looking;
mod sound;
mod stitching;
