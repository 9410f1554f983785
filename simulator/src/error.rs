//! Why a simulator cannot start or go on.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a simulator cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// A listener could not be opened.
    #[error("could not listen on {address}: choose another port, or 0 for a free one")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data folder cannot be used.
    #[error("could not use {path}")]
    Data {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line of a journal is neither whole nor the torn last one.
    #[error("{path} line {line} is damaged")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A built-in model description is wrong.
    #[error("model description {name} is wrong")]
    Model {
        /// Its file.
        name: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// FFmpeg is missing.
    #[error("cannot make media")]
    Ffmpeg(#[source] spool_media::ffmpeg::FfmpegError),
    /// The outgoing HTTP client could not be built.
    #[error("could not build the HTTP client")]
    Client(#[source] reqwest::Error),
    /// The speed is not a positive number.
    #[error("--speed must be a number above 0, not {0}")]
    Speed(f64),
}
