//! What lies in a store, for whoever compares it with the rows. It is only looked at: no folder is made, nothing is written.

use crate::key::Digest;
use crate::store::{Place, StoreError, place};
use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use std::path::Path;
use std::sync::Arc;

/// Parts that a store is looked at in: the first two digits of the digests.
pub const PARTS: std::ops::RangeInclusive<u8> = 0..=u8::MAX;

/// A file as it lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its digest, where it lies where the file of that digest must lie; else where it lies.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// When it was stored.
    pub modified: DateTime<Utc>,
}

/// A store that is looked at.
#[derive(Debug, Clone)]
pub struct Inventory {
    backend: Arc<dyn ObjectStore>,
    location: String,
}

impl Inventory {
    /// Opens what [`crate::store::MediaStore::open`] opens, but only if it is there.
    ///
    /// # Errors
    /// [`StoreError::Location`] with a sentence that says what is wrong.
    pub fn open(location: &str) -> Result<Self, StoreError> {
        let backend = match place(location)? {
            Place::Folder(root) => {
                folder(&root).map_err(|why| StoreError::Location { location: location.to_owned(), why })?
            }
            Place::Bucket(bucket) => bucket,
        };
        Ok(Self { backend, location: location.to_owned() })
    }

    /// The files of one part, in no order, as they are found.
    pub fn part(&self, part: u8) -> BoxStream<'static, Result<Entry, StoreError>> {
        let location = self.location.clone();
        let failed =
            move |source| StoreError::Backend { operation: "list", subject: location.clone(), source };
        let prefix = ObjectPath::from(format!("{part:02x}"));
        self.backend.list(Some(&prefix)).map(move |found| found.map(entry).map_err(&failed)).boxed()
    }

    /// Whether a file is there at this moment.
    ///
    /// # Errors
    /// The folder or bucket does not answer.
    pub async fn has(&self, digest: &Digest) -> Result<bool, StoreError> {
        match self.backend.head(&ObjectPath::from(digest.object_path())).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(source) => {
                Err(StoreError::Backend { operation: "look up", subject: digest.to_string(), source })
            }
        }
    }
}

fn folder(root: &Path) -> Result<Arc<dyn ObjectStore>, String> {
    if !root.is_dir() {
        return Err("there is no such folder".to_owned());
    }
    LocalFileSystem::new_with_prefix(root)
        .map(|backend| Arc::new(backend) as Arc<dyn ObjectStore>)
        .map_err(|error| error.to_string())
}

fn entry(meta: ObjectMeta) -> Entry {
    let path = meta.location.as_ref();
    let last = path.rsplit('/').next().unwrap_or(path);
    let named = last.parse::<Digest>().ok().filter(|digest| digest.object_path() == path);
    Entry {
        name: named.map_or_else(|| path.to_owned(), |digest| digest.to_string()),
        bytes: meta.size,
        modified: meta.last_modified,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MediaStore;
    use futures::TryStreamExt;

    async fn all(inventory: &Inventory) -> Vec<(String, u64)> {
        let mut all = Vec::new();
        for part in PARTS {
            let found: Vec<Entry> = inventory.part(part).try_collect().await.expect("a list");
            all.extend(found.into_iter().map(|entry| (entry.name, entry.bytes)));
        }
        all
    }

    #[tokio::test]
    async fn everything_is_found_and_nothing_is_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("media");
        let location = root.to_str().expect("utf-8");
        assert!(Inventory::open(location).is_err(), "it is not there");
        assert!(!root.exists(), "and is not made");
        std::fs::create_dir(&root).expect("made");
        let inventory = Inventory::open(location).expect("it opens");
        assert_eq!(all(&inventory).await, []);
        assert_eq!(std::fs::read_dir(&root).expect("readable").count(), 0, "nothing is written");

        let store = MediaStore::open(location).expect("it opens");
        let file = folder.path().join("file");
        let mut expected = Vec::new();
        for text in ["one", "two", "three"] {
            std::fs::write(&file, text).expect("written");
            let stored = store.put_file(&file).await.expect("stored");
            assert!(inventory.has(&stored.digest).await.expect("looked up"));
            expected.push((stored.digest.to_string(), text.len() as u64));
        }
        std::fs::create_dir_all(root.join("ab/cd")).expect("made");
        std::fs::write(root.join("ab/cd/notes.txt"), "x").expect("written");
        expected.push(("ab/cd/notes.txt".to_owned(), 1));
        let mut found = all(&inventory).await;
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "without the scratch folder");
        assert!(!inventory.has(&Digest::of(b"never stored")).await.expect("looked up"));
    }
}
