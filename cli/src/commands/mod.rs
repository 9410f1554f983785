//! What can be typed, one file per command.

#[cfg(feature = "schema")]
pub(crate) mod breaker;
#[cfg(feature = "schema")]
pub(crate) mod budget;
#[cfg(feature = "schema")]
pub(crate) mod demo;
#[cfg(feature = "schema")]
pub(crate) mod dev;
#[cfg(feature = "schema")]
pub(crate) mod doctor;
#[cfg(feature = "schema")]
pub(crate) mod explain;
#[cfg(feature = "schema")]
pub(crate) mod import;
#[cfg(feature = "schema")]
pub(crate) mod keep;
#[cfg(feature = "schema")]
pub(crate) mod keys;
#[cfg(feature = "schema")]
pub(crate) mod limits;
#[cfg(feature = "schema")]
pub(crate) mod migrate;
#[cfg(feature = "schema")]
pub(crate) mod observe;
pub(crate) mod postgres;
#[cfg(feature = "schema")]
pub(crate) mod predictions;
#[cfg(feature = "schema")]
pub(crate) mod spend;

/// What a command ends with: an exit code, or an error that `main` prints with its causes.
pub(crate) type Ending = Result<std::process::ExitCode, Box<dyn std::error::Error + Send + Sync>>;
