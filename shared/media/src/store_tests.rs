//! The store over a real folder and, for the bucket's path, over memory.

use super::*;
use chrono::TimeDelta;
use std::convert::Infallible;

fn chunks(bytes: &[u8]) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
    let chunks: Vec<_> = bytes.chunks(7).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    futures::stream::iter(chunks)
}

async fn read(store: &MediaStore, digest: &Digest, range: Option<Range<u64>>) -> Vec<u8> {
    let content = store.get(digest, range).await.expect("stored");
    let parts: Vec<Bytes> = content.stream.try_collect().await.expect("readable");
    parts.concat()
}

fn scratch_entries(store: &MediaStore) -> usize {
    let folder = store.folder.as_ref().expect("a local store").join(".scratch");
    std::fs::read_dir(folder).expect("scratch").count()
}

async fn round_trip(store: &MediaStore, folder: &Path) {
    let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
    let stored = store.put_stream(chunks(&bytes), 100_000).await.expect("it fits exactly");
    assert_eq!(stored, Stored { digest: Digest::of(&bytes), bytes: 100_000 });
    assert_eq!(store.put_stream(chunks(&bytes), 100_000).await.expect("again"), stored);
    assert_eq!(store.size(&stored.digest).await.expect("size"), Some(100_000));
    assert_eq!(read(store, &stored.digest, None).await, bytes);
    assert_eq!(read(store, &stored.digest, Some(10..25)).await, &bytes[10..25]);
    assert_eq!(read(store, &stored.digest, Some(99_999..100_000)).await, &bytes[99_999..]);
    let content = store.get(&stored.digest, Some(5..6)).await.expect("stored");
    assert_eq!((content.range, content.bytes), (5..6, 100_000));

    let copy = store.local_copy(&stored.digest, folder).await.expect("a path");
    assert_eq!(std::fs::read(&copy).expect("readable"), bytes);

    assert!(store.is_whole(&stored.digest).await.expect("read"));
    let missing = Digest::of(b"never stored");
    assert!(!store.is_whole(&missing).await.expect("looked up"));
    assert_eq!(store.size(&missing).await.expect("size"), None);
    assert!(matches!(store.get(&missing, None).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(store.local_copy(&missing, folder).await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn a_folder_keeps_files_by_their_content() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("made/on/demand");
    let store = MediaStore::open(root.to_str().expect("utf-8")).expect("it opens");
    round_trip(&store, folder.path()).await;
    let original = folder.path().join("original.bin");
    std::fs::write(&original, b"mine").expect("written");
    let stored = store.put_file(&original).await.expect("stored");
    assert!(original.exists(), "the caller's file stays");
    assert_eq!(stored.digest, Digest::of(b"mine"));
    assert_eq!(scratch_entries(&store), 0, "nothing is left in scratch");

    let url = url::Url::from_file_path(&root).expect("a URL");
    let again = MediaStore::open(url.as_str()).expect("it opens by URL");
    assert_eq!(read(&again, &stored.digest, None).await, b"mine");
    std::fs::write(root.join(stored.digest.object_path()), b"ours").expect("written over");
    assert!(!again.is_whole(&stored.digest).await.expect("read"), "the same length, other bytes");
}

#[tokio::test]
async fn a_bucket_does_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = MediaStore::remote(Arc::new(object_store::memory::InMemory::new())).expect("scratch");
    round_trip(&store, folder.path()).await;
}

#[tokio::test]
async fn too_much_and_broken_streams_leave_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = MediaStore::open(folder.path().to_str().expect("utf-8")).expect("it opens");
    let result = store.put_stream(chunks(&[0; 101]), 100).await;
    assert!(matches!(result, Err(StoreError::TooBig { limit: 100 })));
    let broken = chunks(b"half")
        .map_err(|never| match never {})
        .chain(futures::stream::once(async { Err::<Bytes, BoxError>("the peer went away".into()) }));
    assert!(matches!(store.put_stream(broken, 100).await, Err(StoreError::Incoming { .. })));
    assert_eq!(scratch_entries(&store), 0);
}

#[tokio::test]
async fn a_wreck_of_the_wrong_length_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = MediaStore::open(folder.path().to_str().expect("utf-8")).expect("it opens");
    let stored = store.put_stream(chunks(b"whole"), 100).await.expect("stored");
    let path = folder.path().join(stored.digest.object_path());
    std::fs::write(&path, b"who").expect("damaged");
    store.put_stream(chunks(b"whole"), 100).await.expect("stored again");
    assert_eq!(read(&store, &stored.digest, None).await, b"whole");
}

#[tokio::test]
async fn old_scratch_is_swept() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = MediaStore::open(folder.path().to_str().expect("utf-8")).expect("it opens");
    let work = store.scratch().folder().expect("a folder").keep();
    std::fs::write(work.join("half.mp4"), b"x").expect("written");
    let written = std::fs::metadata(&work).expect("there").modified().expect("a time");
    let written = chrono::DateTime::<chrono::Utc>::from(written);
    assert_eq!(store.scratch().sweep(written - TimeDelta::seconds(1)).await.expect("swept"), 0);
    assert_eq!(store.scratch().sweep(written + TimeDelta::seconds(1)).await.expect("swept"), 1);
    assert!(!work.exists());
}

#[test]
fn senseless_locations_are_refused_in_a_sentence() {
    for (location, says) in [("", "empty"), ("ftp://x/y", "not known"), ("/dev/null/x", "cannot be made")] {
        let error = MediaStore::open(location).expect_err("refused");
        assert!(error.to_string().contains(says), "{error}");
    }
}
