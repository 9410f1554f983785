//! Files that rows name. A row is never trusted with a path: what it names is looked for below one folder and nowhere else.

use std::path::{Component, Path, PathBuf};

/// Columns that name a file of the older system, or an address under which it served one.
pub(crate) const NAMED: &[&str] =
    &["file_path", "video_path", "url", "video_url", "image_url", "audio_url", "thumbnail_url"];

/// Where the older system served its own files from.
const SERVED: &[&str] = &["data", "static", "app"];

/// The file below `root` that `named` means: a path as it was on the older machine, or the path of an address of its own.
pub(crate) fn find(root: &Path, named: &str) -> Option<PathBuf> {
    let root = root.canonicalize().ok()?;
    let path = match url::Url::parse(named) {
        Ok(url) if is_own(&url) => url.path().to_owned(),
        Ok(_) => return None,
        Err(_) => named.to_owned(),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in Path::new(&path).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    // The folder of the older system may be the root itself, its data folder, or any folder above.
    while !parts.is_empty() {
        let candidate: PathBuf = parts.iter().collect();
        if let Ok(found) = root.join(candidate).canonicalize()
            && found.starts_with(&root)
            && found.is_file()
        {
            return Some(found);
        }
        if !SERVED.iter().any(|served| parts[0].eq_ignore_ascii_case(served)) {
            return None;
        }
        parts.remove(0);
    }
    None
}

/// An address on the machine of the older system.
fn is_own(url: &url::Url) -> bool {
    matches!(url.scheme(), "http" | "https") && matches!(url.host_str(), Some("localhost" | "127.0.0.1"))
}

/// An address outside.
pub(crate) fn is_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_below_the_folder_are_found() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret.mp4"), b"x").unwrap();
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("videos")).unwrap();
        std::fs::write(root.path().join("videos/1.mp4"), b"x").unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret.mp4"), root.path().join("link.mp4")).unwrap();
        let expected = root.path().canonicalize().unwrap().join("videos/1.mp4");
        for named in [
            "videos/1.mp4",
            "/videos/1.mp4",
            "./DATA/videos/1.mp4",
            "/data/videos/1.mp4",
            "/app/DATA/videos/1.mp4",
            "http://localhost:8000/data/videos/1.mp4",
        ] {
            assert_eq!(find(root.path(), named), Some(expected.clone()), "{named}");
        }
        let escape = format!("../{}/secret.mp4", outside.path().file_name().unwrap().to_str().unwrap());
        let absolute = outside.path().join("secret.mp4");
        for named in [
            escape.as_str(),
            absolute.to_str().unwrap(),
            "link.mp4",
            "videos",
            "",
            "/",
            "videos/2.mp4",
            "https://example.com/videos/1.mp4",
            "file:///videos/1.mp4",
        ] {
            assert_eq!(find(root.path(), named), None, "{named}");
        }
    }
}
