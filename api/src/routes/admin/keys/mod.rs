//! `/admin/keys`: who may call the API.

pub mod body;
pub mod create;
pub mod list;
pub mod revoke;
