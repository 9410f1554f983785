//! Where media lies: a folder or an S3 bucket, each file under the SHA-256 of its bytes.
//!
//! A file arrives in a scratch folder while it is hashed and counted, is flushed to disk, and only then gets
//! its name, so that a crash leaves scratch behind and never half a file. Nothing is held in memory but a
//! chunk. Storing the same bytes twice is one file.

use crate::key::Digest;
use crate::scratch::{Received, Scratch};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::prefix::PrefixStore;
use object_store::{GetOptions, GetResultPayload, ObjectStore, ObjectStoreExt};
use sha2::Digest as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio_util::io::ReaderStream;

/// How much is read at once, in bytes.
const CHUNK: usize = 256 * 1024;
/// The part size of an upload to a bucket, in bytes; two of them are in flight.
const PART: usize = 8 * 1024 * 1024;

/// Any error of a caller's stream.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A store that did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The location makes no sense or cannot be used.
    #[error("cannot use {location} as media store: {why}")]
    Location {
        /// As configured. It holds no secret: credentials come from the environment.
        location: String,
        /// One sentence.
        why: String,
    },
    /// There is no such file.
    #[error("there is no stored file {digest}")]
    NotFound {
        /// What was asked for.
        digest: Digest,
    },
    /// More bytes arrived than are allowed.
    #[error("the file is larger than {limit} bytes")]
    TooBig {
        /// The bytes allowed.
        limit: u64,
    },
    /// The stream that was to be stored broke.
    #[error("the incoming file broke off")]
    Incoming {
        /// What the stream said.
        source: BoxError,
    },
    /// The disk refused.
    #[error("could not {operation} {}", path.display())]
    Disk {
        /// A verb.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder or bucket refused.
    #[error("could not {operation} {subject}")]
    Backend {
        /// A verb.
        operation: &'static str,
        /// The file.
        subject: String,
        /// What it said.
        source: object_store::Error,
    },
}

/// A file that is safely stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub digest: Digest,
    /// Its length.
    pub bytes: u64,
}

/// (A part of) a stored file on its way out.
pub struct Content {
    /// The bytes asked for.
    pub stream: BoxStream<'static, Result<Bytes, StoreError>>,
    /// The part they are.
    pub range: Range<u64>,
    /// The length of the whole file.
    pub bytes: u64,
}

/// The media store. Clones share it.
#[derive(Debug, Clone)]
pub struct MediaStore {
    backend: Arc<dyn ObjectStore>,
    /// The root of a local store, whose files FFmpeg can read in place.
    folder: Option<PathBuf>,
    scratch: Scratch,
}

impl MediaStore {
    /// Opens `location`: a folder (made if missing), a `file://` URL, or `s3://bucket/prefix` with the usual
    /// `AWS_*` variables (`AWS_ENDPOINT_URL` for R2 and MinIO, `AWS_ALLOW_HTTP=true` for plain HTTP).
    ///
    /// # Errors
    /// [`StoreError::Location`] with a sentence that says what is wrong.
    pub fn open(location: &str) -> Result<Self, StoreError> {
        match place(location)? {
            Place::Folder(root) => Self::folder(&root),
            Place::Bucket(bucket) => Self::remote(bucket).map_err(|error| StoreError::Location {
                location: location.to_owned(),
                why: error.to_string(),
            }),
        }
    }

    fn folder(root: &Path) -> Result<Self, StoreError> {
        let refuse = |why: String| StoreError::Location { location: root.display().to_string(), why };
        std::fs::create_dir_all(root).map_err(|error| refuse(format!("it cannot be made: {error}")))?;
        let root = root.canonicalize().map_err(|error| refuse(error.to_string()))?;
        let scratch =
            Scratch::inside(&root).map_err(|error| refuse(format!("it cannot be written to: {error}")))?;
        let backend = LocalFileSystem::new_with_prefix(&root)
            .map_err(|error| refuse(error.to_string()))?
            .with_fsync(true);
        Ok(Self { backend: Arc::new(backend), folder: Some(root), scratch })
    }

    fn remote(backend: Arc<dyn ObjectStore>) -> std::io::Result<Self> {
        Ok(Self {
            backend,
            folder: None,
            scratch: Scratch::inside(&std::env::temp_dir().join("spool-media"))?,
        })
    }

    /// Where its bytes lie on disks of this machine, by a word for each: unfinished files, and finished ones unless they are in a bucket.
    pub fn places(&self) -> Vec<(&'static str, PathBuf)> {
        let media = self.folder.clone().map(|folder| ("media", folder));
        [("scratch", self.scratch.root().to_owned())].into_iter().chain(media).collect()
    }

    /// The scratch space beside the store: on the same filesystem as a local store, so that what is made
    /// there is kept by a rename.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Stores what arrives, up to `limit` bytes.
    ///
    /// # Errors
    /// Too big, broken off, or a disk or bucket that refuses; nothing is stored then.
    pub async fn put_stream<S, E>(&self, stream: S, limit: u64) -> Result<Stored, StoreError>
    where
        S: Stream<Item = Result<Bytes, E>>,
        E: Into<BoxError>,
    {
        let received = self.scratch.receive(stream, limit).await?;
        self.keep(received).await
    }

    /// Stores a copy of a local file. The file itself stays the caller's.
    ///
    /// # Errors
    /// As [`MediaStore::put_stream`].
    pub async fn put_file(&self, path: &Path) -> Result<Stored, StoreError> {
        let file = tokio::fs::File::open(path).await.map_err(|source| StoreError::Disk {
            operation: "open",
            path: path.to_owned(),
            source,
        })?;
        self.put_stream(ReaderStream::with_capacity(file, CHUNK), u64::MAX).await
    }

    /// Stores what [`Scratch::receive`] took in and the caller has looked at.
    ///
    /// # Errors
    /// A disk or bucket that refuses.
    pub async fn keep(&self, received: Received) -> Result<Stored, StoreError> {
        let stored = Stored { digest: received.digest().clone(), bytes: received.bytes() };
        let to = object_path(&stored.digest);
        let failed = |source| StoreError::Backend { operation: "store", subject: to.to_string(), source };
        // Content names itself: what is there in full length is the same. A wrong length is a wreck to replace.
        match self.backend.head(&to).await {
            Ok(meta) if meta.size == stored.bytes => return Ok(stored),
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(source) => return Err(failed(source)),
        }
        if self.folder.is_some() {
            let from = self.scratch.object_path(received.path()).ok_or_else(|| StoreError::Disk {
                operation: "store",
                path: received.path().to_owned(),
                source: std::io::Error::other("it lies outside the scratch folder of this store"),
            })?;
            self.backend.rename(&from, &to).await.map_err(failed)?;
        } else {
            self.upload(received.path(), &to).await?;
        }
        Ok(stored)
    }

    async fn upload(&self, from: &Path, to: &ObjectPath) -> Result<(), StoreError> {
        let disk = |operation, source| StoreError::Disk { operation, path: from.to_owned(), source };
        let file = tokio::fs::File::open(from).await.map_err(|source| disk("open", source))?;
        let mut reader = tokio::io::BufReader::with_capacity(CHUNK, file);
        let mut writer =
            BufWriter::with_capacity(self.backend.clone(), to.clone(), PART).with_max_concurrency(2);
        let copied = tokio::io::copy_buf(&mut reader, &mut writer).await;
        let finished = match copied {
            Ok(_) => writer.shutdown().await,
            Err(error) => {
                // Parts of a broken upload cost money until they are dropped.
                writer.abort().await.ok();
                Err(error)
            }
        };
        finished.map_err(|source| disk("upload", source))
    }

    /// The length of a stored file in bytes, or `None` when there is none.
    ///
    /// # Errors
    /// The folder or bucket does not answer.
    pub async fn size(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        match self.backend.head(&object_path(digest)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => {
                Err(StoreError::Backend { operation: "look up", subject: digest.to_string(), source })
            }
        }
    }

    /// Streams a stored file, or the part of it (within its length) that `range` names.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the folder or bucket does not answer. The stream can fail, too.
    pub async fn get(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<Content, StoreError> {
        let backend = {
            let digest = digest.clone();
            move |source| StoreError::Backend { operation: "read", subject: digest.to_string(), source }
        };
        let options = GetOptions { range: range.map(Into::into), ..GetOptions::default() };
        let result = match self.backend.get_opts(&object_path(digest), options).await {
            Ok(result) => result,
            Err(object_store::Error::NotFound { .. }) => {
                return Err(StoreError::NotFound { digest: digest.clone() });
            }
            Err(source) => return Err(backend(source)),
        };
        let (range, bytes) = (result.range.clone(), result.meta.size);
        let stream = match result.payload {
            // Read here in large chunks: the store's own stream takes a thread hop for every 8 kB.
            GetResultPayload::File(file, path) => {
                let disk = move |source| StoreError::Disk { operation: "read", path: path.clone(), source };
                let mut file = tokio::fs::File::from_std(file);
                file.seek(std::io::SeekFrom::Start(range.start)).await.map_err(&disk)?;
                let part = file.take(range.end - range.start);
                ReaderStream::with_capacity(part, CHUNK).map_err(disk).boxed()
            }
            GetResultPayload::Stream(stream) => stream.map_err(backend).boxed(),
        };
        Ok(Content { stream, range, bytes })
    }

    /// Whether a file is stored whose bytes are still what its name says. Reads all of it.
    ///
    /// # Errors
    /// The folder or bucket does not answer.
    pub async fn is_whole(&self, digest: &Digest) -> Result<bool, StoreError> {
        let mut content = match self.get(digest, None).await {
            Ok(content) => content,
            Err(StoreError::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let mut hash = sha2::Sha256::new();
        while let Some(chunk) = content.stream.try_next().await? {
            hash.update(&chunk);
        }
        Ok(Digest::of_hash(&hash.finalize()) == *digest)
    }

    /// A local path to read a stored file from: in place in a local store, else a copy made in `folder`.
    /// The caller must not write to it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the bucket or disk refuses.
    pub async fn local_copy(&self, digest: &Digest, folder: &Path) -> Result<PathBuf, StoreError> {
        if let Some(root) = &self.folder {
            let path = root.join(digest.object_path());
            return match tokio::fs::try_exists(&path).await {
                Ok(true) => Ok(path),
                Ok(false) => Err(StoreError::NotFound { digest: digest.clone() }),
                Err(source) => Err(StoreError::Disk { operation: "look up", path, source }),
            };
        }
        let path = folder.join(digest.as_str());
        let disk = |operation, source| StoreError::Disk { operation, path: path.clone(), source };
        let mut content = self.get(digest, None).await?;
        let mut file = tokio::fs::File::create(&path).await.map_err(|source| disk("create", source))?;
        while let Some(chunk) = content.stream.try_next().await? {
            file.write_all(&chunk).await.map_err(|source| disk("write", source))?;
        }
        file.flush().await.map_err(|source| disk("write", source))?;
        Ok(path)
    }
}

fn object_path(digest: &Digest) -> ObjectPath {
    ObjectPath::from(digest.object_path())
}

/// What a location names. Nothing is made there yet.
pub(crate) enum Place {
    Folder(PathBuf),
    Bucket(Arc<dyn ObjectStore>),
}

pub(crate) fn place(location: &str) -> Result<Place, StoreError> {
    let refuse = |why: String| StoreError::Location { location: location.to_owned(), why };
    match location.split_once("://") {
        None if location.is_empty() => Err(refuse("it is empty: give a folder or s3://bucket/prefix".into())),
        None => Ok(Place::Folder(PathBuf::from(location))),
        Some(("file", _)) => {
            let url = url::Url::parse(location).map_err(|error| refuse(error.to_string()))?;
            url.to_file_path().map(Place::Folder).map_err(|()| refuse("it names no local folder".into()))
        }
        Some(("s3", _)) => {
            // The first installed provider stays; a second attempt is no error.
            rustls::crypto::ring::default_provider().install_default().ok();
            let url = url::Url::parse(location).map_err(|error| refuse(error.to_string()))?;
            let backend = AmazonS3Builder::from_env()
                .with_url(format!("s3://{}", url.host_str().unwrap_or_default()))
                .build()
                .map_err(|error| refuse(error.to_string()))?;
            Ok(Place::Bucket(Arc::new(PrefixStore::new(backend, url.path().trim_matches('/')))))
        }
        Some((scheme, _)) => {
            Err(refuse(format!("{scheme}:// is not known: give a folder or s3://bucket/prefix")))
        }
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
