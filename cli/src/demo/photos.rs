//! The photos that a demonstration starts from.

use std::path::{Path, PathBuf};

/// Photos of the repository, from its root.
const EXAMPLES: &str = "examples/lodge";
const EXTENSIONS: [&str; 4] = ["jpg", "jpeg", "png", "webp"];
/// More pairs would make a first video long and dear.
const MOST_PAIRS: usize = 10;

/// There are no photos to use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PhotosError {
    #[error("cannot read the folder {}: give a folder of photos with --photos", folder.display())]
    Folder { folder: PathBuf, source: std::io::Error },
    #[error("{} holds {found} photos (jpg, png or webp): at least 2 are needed, a first and a last frame", folder.display())]
    TooFew { folder: PathBuf, found: usize },
}

/// One photo on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Photo {
    pub(crate) path: PathBuf,
    /// File name.
    pub(crate) name: String,
}

/// The photos of a folder in the order of their names; of the repository's examples when none is given.
pub(crate) fn find(folder: Option<&Path>) -> Result<Vec<Photo>, PhotosError> {
    let folder = folder.map_or_else(examples, Path::to_owned);
    let failed = |source| PhotosError::Folder { folder: folder.clone(), source };
    let mut photos = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_lowercase);
        let is_photo = extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()));
        if let (true, Some(name)) = (is_photo && path.is_file(), path.file_name()) {
            photos.push(Photo { name: name.to_string_lossy().into_owned(), path });
        }
    }
    photos.sort_by(|one, other| one.name.cmp(&other.name));
    if photos.len() < 2 {
        return Err(PhotosError::TooFew { folder, found: photos.len() });
    }
    Ok(photos)
}

/// How many disjoint pairs these photos make.
pub(crate) fn pairs(photos: &[Photo]) -> usize {
    (photos.len() / 2).min(MOST_PAIRS)
}

/// Below the working folder, or beside the build that this binary is from.
fn examples() -> PathBuf {
    let here = PathBuf::from(EXAMPLES);
    if here.is_dir() {
        return here;
    }
    let binary = std::env::current_exe().unwrap_or_default();
    binary.ancestors().map(|folder| folder.join(EXAMPLES)).find(|folder| folder.is_dir()).unwrap_or(here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photos_come_in_name_order_and_nothing_else_comes() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["c.PNG", "a.jpg", "notes.md", "b.webp"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        let photos = find(Some(folder.path())).unwrap();
        let names: Vec<_> = photos.iter().map(|photo| photo.name.as_str()).collect();
        assert_eq!(names, ["a.jpg", "b.webp", "c.PNG"]);
        assert_eq!(pairs(&photos), 1);
    }

    #[test]
    fn one_photo_is_too_few() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.jpg"), "x").unwrap();
        assert!(matches!(find(Some(folder.path())), Err(PhotosError::TooFew { found: 1, .. })));
    }
}
