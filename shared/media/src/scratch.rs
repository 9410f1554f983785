//! Room for files that are not done yet: uploads being counted, downloads being checked, films being made.
//!
//! It lies on the filesystem of a local store, so that keeping a file is a rename. What a killed process left
//! behind is swept by age.

use crate::key::Digest;
use crate::kind::HEAD_BYTES;
use crate::store::{BoxError, StoreError};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{Stream, TryStreamExt};
use object_store::path::Path as ObjectPath;
use sha2::Digest as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use tempfile::{TempDir, TempPath};
use tokio::io::AsyncWriteExt;

/// The folder's name under the root of the store.
const NAME: &str = ".scratch";
/// How many unfinished writes stand in memory, in bytes.
const BUFFER: usize = 256 * 1024;

/// The scratch folder of a store.
#[derive(Debug, Clone)]
pub struct Scratch {
    folder: PathBuf,
}

/// A file that has arrived in full, is on disk, and vanishes unless it is kept.
#[derive(Debug)]
pub struct Received {
    path: TempPath,
    digest: Digest,
    bytes: u64,
    head: Vec<u8>,
}

impl Received {
    /// Where it lies for now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The SHA-256 of its bytes.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its first bytes, enough for [`crate::kind::detect`].
    pub fn head(&self) -> &[u8] {
        &self.head
    }
}

impl Scratch {
    pub(crate) fn inside(root: &Path) -> std::io::Result<Self> {
        let folder = root.join(NAME);
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// The folder.
    pub(crate) fn root(&self) -> &Path {
        &self.folder
    }

    /// A new empty folder that vanishes with the returned value.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn folder(&self) -> Result<TempDir, StoreError> {
        tempfile::Builder::new().prefix("work-").tempdir_in(&self.folder).map_err(|source| self.disk(source))
    }

    /// Takes in a stream: counted against `limit` bytes, hashed, flushed to disk.
    ///
    /// # Errors
    /// Too big, broken off, or a disk that refuses. What had arrived is removed.
    pub async fn receive<S, E>(&self, stream: S, limit: u64) -> Result<Received, StoreError>
    where
        S: Stream<Item = Result<Bytes, E>>,
        E: Into<BoxError>,
    {
        let (file, path) = tempfile::Builder::new()
            .prefix("in-")
            .tempfile_in(&self.folder)
            .map_err(|source| self.disk(source))?
            .into_parts();
        let disk = |source| StoreError::Disk { operation: "write", path: path.to_path_buf(), source };
        let mut file = tokio::io::BufWriter::with_capacity(BUFFER, tokio::fs::File::from_std(file));
        let (mut hash, mut bytes, mut head) = (sha2::Sha256::new(), 0_u64, Vec::new());
        let mut stream = pin!(stream);
        while let Some(chunk) =
            stream.try_next().await.map_err(|source| StoreError::Incoming { source: source.into() })?
        {
            bytes += chunk.len() as u64;
            if bytes > limit {
                return Err(StoreError::TooBig { limit });
            }
            let missing = HEAD_BYTES.saturating_sub(head.len()).min(chunk.len());
            head.extend_from_slice(&chunk[..missing]);
            hash.update(&chunk);
            file.write_all(&chunk).await.map_err(disk)?;
        }
        file.flush().await.map_err(disk)?;
        file.get_ref().sync_all().await.map_err(disk)?;
        Ok(Received { path, digest: Digest::of_hash(&hash.finalize()), bytes, head })
    }

    /// Removes what was last written before `before`: remains of processes that were killed. Returns how many
    /// entries went. Choose an age that no living step reaches.
    ///
    /// # Errors
    /// The folder cannot be read. An entry that vanishes meanwhile or cannot be removed is passed over.
    pub async fn sweep(&self, before: DateTime<Utc>) -> Result<usize, StoreError> {
        let mut removed = 0;
        let mut entries = tokio::fs::read_dir(&self.folder).await.map_err(|source| self.disk(source))?;
        while let Some(entry) = entries.next_entry().await.map_err(|source| self.disk(source))? {
            let Ok(meta) = entry.metadata().await else { continue };
            let old = meta.modified().is_ok_and(|modified| DateTime::<Utc>::from(modified) < before);
            if !old {
                continue;
            }
            let gone = if meta.is_dir() {
                tokio::fs::remove_dir_all(entry.path()).await
            } else {
                tokio::fs::remove_file(entry.path()).await
            };
            removed += usize::from(gone.is_ok());
        }
        Ok(removed)
    }

    /// The name of a scratch file as the local store sees it.
    pub(crate) fn object_path(&self, path: &Path) -> Option<ObjectPath> {
        let name = path.strip_prefix(&self.folder).ok()?.to_str()?;
        Some(ObjectPath::from(format!("{NAME}/{name}")))
    }

    fn disk(&self, source: std::io::Error) -> StoreError {
        StoreError::Disk { operation: "use the scratch folder", path: self.folder.clone(), source }
    }
}
