//! The folder of one `spool dev`: its lock, its secrets, its remembered ports, its logs.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rand::RngExt;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// A log that has grown past this is put aside at the next start: one old one is kept.
const LOG_LIMIT_BYTES: u64 = 16 * 1024 * 1024;

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    #[error("{} is in use by another `spool dev` (process {holder}): stop it, or give another --data-dir", path.display())]
    InUse { path: PathBuf, holder: String },
    #[error("cannot {doing} {}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{} does not hold what it should: delete it to have it made again", path.display())]
    Damaged { path: PathBuf },
}

fn failed<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> FolderError + 'a {
    move |source| FolderError::Io { doing, path: path.to_owned(), source }
}

/// Ports of the last start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ports {
    pub(crate) postgres: Option<u16>,
    pub(crate) api: Option<u16>,
    pub(crate) simulator: Option<u16>,
    pub(crate) cdn: Option<u16>,
}

/// A data folder that is ours as long as this value lives.
#[derive(Debug)]
pub(crate) struct DataFolder {
    root: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Makes the folder when it is missing and takes its lock. The kernel frees the lock however we end.
    pub(crate) fn open(root: &Path) -> Result<Self, FolderError> {
        std::fs::create_dir_all(root).map_err(failed("make the data folder", root))?;
        let root = root.canonicalize().map_err(failed("resolve the data folder", root))?;
        let lock_path = root.join("lock");
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&lock_path)
            .map_err(failed("open the lock", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = std::fs::read_to_string(&lock_path).unwrap_or_default().trim().to_owned();
                return Err(FolderError::InUse { path: root, holder });
            }
            Err(TryLockError::Error(source)) => return Err(failed("take the lock", &lock_path)(source)),
        }
        lock.set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(failed("write the lock", &lock_path))?;
        let folder = Self { root, _lock: lock };
        for part in ["logs", "media", "simulator"] {
            let path = folder.path(part);
            std::fs::create_dir_all(&path).map_err(failed("make", &path))?;
        }
        Ok(folder)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Where a service logs. A log that has grown large is put aside first.
    pub(crate) fn log(&self, service: &str) -> PathBuf {
        let path = self.root.join("logs").join(format!("{service}.log"));
        if std::fs::metadata(&path).is_ok_and(|log| log.len() > LOG_LIMIT_BYTES) {
            let _ = std::fs::rename(&path, path.with_extension("log.old"));
        }
        path
    }

    /// The ports of the last start; none when the file is missing or damaged.
    pub(crate) fn ports(&self) -> Ports {
        std::fs::read(self.path("ports.json"))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    pub(crate) fn remember_ports(&self, ports: Ports) -> Result<(), FolderError> {
        self.write_json("ports.json", &ports)
    }

    /// Replaces a small JSON file whole.
    pub(crate) fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), FolderError> {
        let path = self.path(name);
        let temporary = self.path(&format!("{name}.tmp"));
        let text = serde_json::to_vec_pretty(value)
            .map_err(std::io::Error::other)
            .map_err(failed("write", &path))?;
        std::fs::write(&temporary, text)
            .and_then(|()| std::fs::rename(&temporary, &path))
            .map_err(failed("write", &path))
    }

    /// A secret of this folder, if it has been stored.
    pub(crate) fn stored_secret(&self, name: &str) -> Result<Option<SecretString>, FolderError> {
        let path = self.path(name);
        match std::fs::read_to_string(&path) {
            Ok(text) if text.trim().is_empty() => Err(FolderError::Damaged { path }),
            Ok(text) => Ok(Some(SecretString::from(text.trim()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed("read", &path)(source)),
        }
    }

    /// Stores a secret so that its owner alone can read it.
    pub(crate) fn store_secret(&self, name: &str, secret: &str) -> Result<(), FolderError> {
        let path = self.path(name);
        write_private(&path, secret).map_err(failed("write", &path))
    }

    /// The stored secret, or a new random one that is stored now.
    pub(crate) fn random_secret(&self, name: &str) -> Result<SecretString, FolderError> {
        if let Some(stored) = self.stored_secret(name)? {
            return Ok(stored);
        }
        let secret = random_hex();
        self.store_secret(name, &secret)?;
        Ok(SecretString::from(secret))
    }
}

/// 32 random bytes as text.
pub(crate) fn random_hex() -> String {
    let (high, low): (u128, u128) = rand::rng().random();
    format!("{high:032x}{low:032x}")
}

/// Writes a file that is readable by its owner from its first byte on.
pub(crate) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn two_cannot_hold_one_folder_and_the_next_may() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("data");
        let first = DataFolder::open(&root).unwrap();
        let error = DataFolder::open(&root).unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        drop(first);
        DataFolder::open(&root).unwrap();
    }

    #[test]
    fn secrets_are_private_and_stay() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(parent.path()).unwrap();
        let first = folder.random_secret("signing.key").unwrap();
        let again = folder.random_secret("signing.key").unwrap();
        assert_eq!(first.expose_secret(), again.expose_secret());
        let mode = std::fs::metadata(folder.path("signing.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn ports_come_back_and_damage_is_forgotten() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(parent.path()).unwrap();
        assert_eq!(folder.ports(), Ports::default());
        let ports = Ports { api: Some(8080), ..Ports::default() };
        folder.remember_ports(ports).unwrap();
        assert_eq!(folder.ports(), ports);
        std::fs::write(folder.path("ports.json"), "{").unwrap();
        assert_eq!(folder.ports(), Ports::default());
    }
}
