//! A first video: from photos on disk to a file that plays, through the public API alone.

pub(crate) mod api;
pub(crate) mod photos;
pub(crate) mod produce;
pub(crate) mod progress;
pub(crate) mod video;
