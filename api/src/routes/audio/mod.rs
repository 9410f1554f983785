//! `/audio`: the music of jobs, as the older systems' callers ask for it. It is made with the job, by the same tasks.

pub mod download;
pub mod generate;
pub mod segment;
pub mod status;
