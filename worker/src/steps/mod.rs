//! The steps, one file each; the file's name is the kind of task it does.

mod close;
mod collect;
mod deliver;
mod hook_log;
mod mix;
mod music;
mod orphans;
pub(crate) mod recall;
mod registry;
mod render;
mod stitch;
mod verify;
mod workspace;

pub(crate) use registry::register;
