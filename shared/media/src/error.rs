//! What can go wrong with a media file, told apart by whose fault it is: the file's or the machine's.

use crate::ffmpeg::FfmpegError;
use std::path::{Path, PathBuf};

/// A media operation that did not come out. The sentence names the operation and the file.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The file is broken or not what it claims to be. Trying again with the same bytes is pointless.
    #[error("{} is not a usable media file: {why}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// FFmpeg itself failed, ran out of time, or is missing. The file may be fine.
    #[error("could not {operation} {}", path.display())]
    Tool {
        /// A verb: `probe`, `join clips into`, ...
        operation: &'static str,
        /// The file that was read or written.
        path: PathBuf,
        /// What FFmpeg said.
        source: FfmpegError,
    },
    /// The result was written but is not what was asked for.
    #[error("{} did not come out as asked: {why}", path.display())]
    NotAsAsked {
        /// The file that was written.
        path: PathBuf,
        /// Asked and got.
        why: String,
    },
    /// The request makes no sense (nothing to join, a length of zero).
    #[error("cannot {operation}: {why}")]
    BadRequest {
        /// A verb.
        operation: &'static str,
        /// What is missing or contradictory.
        why: String,
    },
    /// The disk refused.
    #[error("could not {operation} {}", path.display())]
    Disk {
        /// A verb.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl MediaError {
    /// Whether the input bytes are at fault, so that the same operation on them can never succeed.
    pub fn is_files_fault(&self) -> bool {
        matches!(self, Self::Unusable { .. } | Self::BadRequest { .. })
    }

    pub(crate) fn tool(operation: &'static str, path: &Path, source: FfmpegError) -> Self {
        Self::Tool { operation, path: path.to_owned(), source }
    }

    /// For runs that only read: a clean refusal is the file's fault, everything else (not started, killed,
    /// out of time) is not.
    pub(crate) fn reading(operation: &'static str, path: &Path, source: FfmpegError) -> Self {
        match source {
            FfmpegError::Failed { status, ref stderr, .. } if status.code().is_some() => {
                let why = stderr.lines().next().unwrap_or("FFmpeg refused it without a word").to_owned();
                Self::Unusable { path: path.to_owned(), why: format!("{operation}: {why}") }
            }
            source => Self::tool(operation, path, source),
        }
    }

    pub(crate) fn unusable(path: &Path, why: impl Into<String>) -> Self {
        Self::Unusable { path: path.to_owned(), why: why.into() }
    }

    pub(crate) fn not_as_asked(path: &Path, why: impl Into<String>) -> Self {
        Self::NotAsAsked { path: path.to_owned(), why: why.into() }
    }

    pub(crate) fn disk(operation: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Disk { operation, path: path.to_owned(), source }
    }
}
