//! The media of a row, wherever they are: in its columns, in a table of blobs, in files, at addresses.

use crate::error::ImportError;
use crate::files;
use crate::keep::{Held, Keeper, Media};
use crate::map::{asset, elixir_job};
use crate::plan::Treatment;
use crate::source::open::Source;
use crate::source::row::Row;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use spool_media::kind::MAX_UPLOAD_BYTES;
use spool_media::store::{BoxError, MediaStore};
use spool_provider::download::{self, Bounds};
use spool_provider::guard::FetchPolicy;
use std::path::Path;
use tokio::io::AsyncReadExt;

/// How much of a file is read at once, in bytes.
const PIECE: usize = 256 * 1024;
/// Columns that name a row of a table of blobs.
const BLOB_IDS: &[&str] = &["blob_id", "thumbnail_blob_id", "video_blob_id"];
const BLOBS: &str = "asset_blobs";

/// Where media may be looked for.
pub(crate) struct Attach<'a> {
    pub(crate) source: &'a Source,
    pub(crate) keeper: Keeper<'a>,
    /// Folder of the older system's files.
    pub(crate) files: Option<&'a Path>,
    /// Where downloads lie until they are kept, and what may be reached.
    pub(crate) fetch: Option<(&'a MediaStore, &'a FetchPolicy)>,
}

/// Rows of the table of blobs, and what they hold.
pub(crate) type Blobs = Vec<(Row, Held)>;

/// What was found, and the rows of blobs that it came from.
pub(crate) struct Found {
    pub(crate) media: Media,
    pub(crate) blobs: Blobs,
}

impl Attach<'_> {
    /// Whether bytes may be found elsewhere by a run that looks further.
    pub(crate) fn may_wait(&self) -> bool {
        self.files.is_none() && self.fetch.is_none()
    }

    pub(crate) async fn media(&self, row: &Row, treatment: Treatment) -> Result<Found, ImportError> {
        let mut found = Found { media: Media::new(), blobs: Vec::new() };
        for column in row.streamed() {
            let held = self.column(row, column).await?;
            found.media.insert(column.to_owned(), held);
        }
        for column in BLOB_IDS {
            if let Some((blob, held)) = self.blob(row, column).await? {
                found.media.insert((*column).to_owned(), held.clone());
                found.blobs.push((blob, held));
            }
        }
        if let Some(root) = self.files {
            for column in files::NAMED {
                if let Some(path) = row.text(column).and_then(|named| files::find(root, named)) {
                    found.media.insert((*column).to_owned(), self.file(&path, row, column).await?);
                }
            }
        }
        match treatment {
            Treatment::ElixirJob => {
                if let Some(bytes) = thumbnail(row) {
                    let held = self.bytes(bytes, row, elixir_job::THUMBNAIL).await?;
                    found.media.insert(elixir_job::THUMBNAIL.to_owned(), held);
                }
            }
            Treatment::Asset if !asset::CONTENT.iter().any(|column| found.media.contains_key(*column)) => {
                self.address(row, &["source_url", "url", "image_url", "audio_url"], &mut found.media).await?;
            }
            Treatment::PythonVideo if found.media.is_empty() => {
                self.address(row, &["video_url"], &mut found.media).await?;
            }
            _ => {}
        }
        Ok(found)
    }

    async fn column(&self, row: &Row, column: &str) -> Result<Held, ImportError> {
        let length = match row.cell(column) {
            crate::source::row::Cell::Bytes(bytes) => *bytes,
            _ => 0,
        };
        let stream = self.source.stream(&row.table, column, row.position);
        self.keeper.hold(stream, length, &place(row, column)).await
    }

    async fn blob(&self, row: &Row, column: &str) -> Result<Option<(Row, Held)>, ImportError> {
        let Some((table, key)) = self.source.table(BLOBS).zip(row.key(column)) else { return Ok(None) };
        let Some(blob) = self.source.by_key(table, &key).await? else { return Ok(None) };
        let Some(data) = blob.streamed().next().map(str::to_owned) else { return Ok(None) };
        let held = self.column(&blob, &data).await?;
        Ok(Some((blob, held)))
    }

    async fn file(&self, path: &Path, row: &Row, column: &str) -> Result<Held, ImportError> {
        let open = |source| ImportError::Open { path: path.to_owned(), source };
        let file = tokio::fs::File::open(path).await.map_err(open)?;
        let length = file.metadata().await.map_err(open)?.len();
        let stream = futures::stream::try_unfold(file, |mut file| async move {
            let mut piece = vec![0; PIECE];
            let read = file.read(&mut piece).await?;
            piece.truncate(read);
            Ok::<_, BoxError>((read > 0).then(|| (Bytes::from(piece), file)))
        });
        self.keeper.hold(stream, length, &place(row, column)).await
    }

    async fn bytes(&self, bytes: Vec<u8>, row: &Row, column: &str) -> Result<Held, ImportError> {
        let length = bytes.len() as u64;
        let stream = futures::stream::iter([Ok::<_, BoxError>(Bytes::from(bytes))]);
        self.keeper.hold(stream, length, &place(row, column)).await
    }

    /// What the first of these addresses has, if anything: an address that has nothing is no error, for most are old.
    async fn address(&self, row: &Row, columns: &[&str], media: &mut Media) -> Result<(), ImportError> {
        let Some((store, policy)) = self.fetch else { return Ok(()) };
        for column in columns {
            let Some(url) = row.text(column).filter(|text| files::is_address(text)) else { continue };
            let failed = |source| ImportError::Media { place: place(row, column), source: Box::new(source) };
            let folder = store.scratch().folder().map_err(failed)?;
            let path = folder.path().join("download");
            if download::fetch(policy, url, &path, Bounds::of(MAX_UPLOAD_BYTES)).await.is_ok() {
                media.insert((*column).to_owned(), self.file(&path, row, column).await?);
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The picture that the Elixir system kept in the progress of a job.
fn thumbnail(row: &Row) -> Option<Vec<u8>> {
    let progress = row.json("progress")?;
    let text = progress.get("thumbnail")?.as_str()?;
    // With or without the head of a data URL.
    let encoded = text.rsplit_once("base64,").map_or(text, |(_, encoded)| encoded);
    STANDARD.decode(encoded.trim()).ok().filter(|bytes| !bytes.is_empty())
}

/// For errors.
fn place(row: &Row, column: &str) -> String {
    format!("{column} of row {} of {}", row.id, row.table)
}
