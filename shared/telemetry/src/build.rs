//! Which build this is: version of the workspace and, when the builder gave one, the revision.

/// Version of the workspace, as in the root `Cargo.toml`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Source revision given by the builder in `SPOOL_REVISION` at compile time; `unknown` otherwise.
pub const REVISION: &str = match option_env!("SPOOL_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};
