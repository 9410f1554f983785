//! Where media go: into the store, or in a dry run nowhere.

use crate::error::ImportError;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use spool_media::kind::{self, Detected, HEAD_BYTES};
use spool_media::store::{BoxError, MediaStore, StoreError};
use std::collections::BTreeMap;
use std::pin::pin;

/// Bytes that are safe.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// SHA-256; zeros in a dry run, which reads no further than it must.
    pub(crate) digest: String,
    pub(crate) bytes: u64,
    /// What they are by their first bytes; none: nothing that we take.
    pub(crate) kind: Option<Detected>,
}

impl Held {
    /// The type to serve them with. What we do not take is served as nothing that a browser would run.
    pub(crate) fn content_type(&self) -> &'static str {
        self.kind.map_or("application/octet-stream", |kind| kind.content_type)
    }
}

/// The media of a row, by the column that holds or names them.
pub(crate) type Media = BTreeMap<String, Held>;

/// Takes media in.
#[derive(Clone, Copy)]
pub(crate) enum Keeper<'a> {
    Store(&'a MediaStore),
    /// A dry run: looks at the beginning and lets go.
    Nothing,
}

impl Keeper<'_> {
    /// `length` is what the row says; `place` is for errors.
    pub(crate) async fn hold<S>(&self, stream: S, length: u64, place: &str) -> Result<Held, ImportError>
    where
        S: Stream<Item = Result<Bytes, BoxError>>,
    {
        let failed = |source| ImportError::Media { place: place.to_owned(), source: Box::new(source) };
        match self {
            Self::Store(store) => {
                let received = store.scratch().receive(stream, u64::MAX).await.map_err(failed)?;
                let kind = kind::detect(received.head());
                let stored = store.keep(received).await.map_err(failed)?;
                Ok(Held { digest: stored.digest.to_string(), bytes: stored.bytes, kind })
            }
            Self::Nothing => {
                let mut head = Vec::new();
                let mut stream = pin!(stream);
                while head.len() < HEAD_BYTES
                    && let Some(piece) = stream.next().await
                {
                    head.extend(piece.map_err(|source| failed(StoreError::Incoming { source }))?);
                }
                head.truncate(HEAD_BYTES);
                Ok(Held { digest: "0".repeat(64), bytes: length, kind: kind::detect(&head) })
            }
        }
    }
}
