//! What stands around every handler, one layer a file. Their order is in `router`.

pub mod api_key;
pub mod edge;
pub mod headers;
pub mod idempotency;
pub mod link;
pub mod own_writes;
pub mod panic;
pub mod problem;
pub mod request_id;
pub mod request_log;
