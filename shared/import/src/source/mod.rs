//! SQLite files of the older systems: opened, recognised, read by pages, their media streamed.

pub(crate) mod blob;
pub(crate) mod open;
pub(crate) mod row;
pub(crate) mod rows;
pub(crate) mod system;
pub(crate) mod table;
