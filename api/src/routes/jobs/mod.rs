//! `/jobs`: videos to be made.

pub mod actions;
pub mod approve;
pub mod body;
pub mod cancel;
pub mod costs;
pub mod creation;
pub mod dry_run;
pub mod duplicate;
pub mod events;
pub mod explain;
pub mod from_image_pairs;
pub mod from_property_photos;
pub mod list;
pub mod long_poll;
pub mod poll_hint;
pub mod polling;
pub mod remove;
pub mod request;
pub mod retry;
pub mod retry_many;
pub mod retry_plan;
pub mod show;
pub mod words;
