//! Who owns the cluster and where it lies. Postgres refuses to run as root, so root steps down.

use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{Uid, User};
use sha2::{Digest, Sha256};

use crate::supervisor::process::{Program, RunAs};

/// Accounts that root steps down to, the first that exists.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];
/// Where the cluster of a folder lies that the account cannot enter. Survives a reboot, unlike `/tmp`.
const FALLBACK: &str = "/var/tmp";

/// The cluster has no place to lie.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error(
        "Postgres refuses to run as root, and there is neither a user `postgres` nor `nobody` to step down to"
    )]
    NoAccount,
    #[error("cannot make {} for the Postgres cluster", path.display())]
    Make { path: PathBuf, source: std::io::Error },
    #[error("{} belongs to somebody else (user id {owner}): remove it, it is where the Postgres cluster goes", path.display())]
    Foreign { path: PathBuf, owner: u32 },
    #[error("user id {uid} can enter neither {} nor {}", wanted.display(), fallback.display())]
    Unreachable { uid: u32, wanted: PathBuf, fallback: PathBuf },
}

/// Where a cluster lies and who runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Home {
    /// Owned by the account, closed to others.
    pub(crate) path: PathBuf,
    /// `None`: ourselves.
    pub(crate) run_as: Option<RunAs>,
    /// It lies elsewhere than wished for, because the account cannot enter there.
    pub(crate) moved: bool,
}

/// The home for a cluster that should lie at `wanted`, made when it is missing. No folder above it is changed.
pub(crate) async fn home(wanted: &Path) -> Result<Home, AccountError> {
    if !Uid::effective().is_root() {
        make(wanted, None)?;
        return Ok(Home { path: wanted.to_owned(), run_as: None, moved: false });
    }
    let run_as = UNPRIVILEGED
        .iter()
        .find_map(|name| User::from_name(name).ok().flatten())
        .map(|user| RunAs { uid: user.uid.as_raw(), gid: user.gid.as_raw() })
        .ok_or(AccountError::NoAccount)?;
    make(wanted, Some(run_as))?;
    if can_enter(wanted, run_as).await {
        return Ok(Home { path: wanted.to_owned(), run_as: Some(run_as), moved: false });
    }
    // Only ever empty here: the account has never been able to write to it.
    let _ = std::fs::remove_dir(wanted);
    let fallback = fallback_for(wanted);
    make(&fallback, Some(run_as))?;
    if can_enter(&fallback, run_as).await {
        return Ok(Home { path: fallback, run_as: Some(run_as), moved: true });
    }
    Err(AccountError::Unreachable { uid: run_as.uid, wanted: wanted.to_owned(), fallback })
}

/// `/var/tmp/spool-<hash of the path>`: the same for the same folder at every start.
fn fallback_for(wanted: &Path) -> PathBuf {
    let digest = Sha256::digest(wanted.as_os_str().as_encoded_bytes());
    let short = digest.iter().take(8).fold(0_u64, |short, byte| short << 8 | u64::from(*byte));
    Path::new(FALLBACK).join(format!("spool-{short:016x}"))
}

/// Makes a folder that its owner alone can enter, or checks that the existing one is that: `/var/tmp` is open to
/// all, and a stranger's folder or link must not become our database.
fn make(path: &Path, run_as: Option<RunAs>) -> Result<(), AccountError> {
    let failed = |source| AccountError::Make { path: path.to_owned(), source };
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {
            if let Some(RunAs { uid, gid }) = run_as {
                chown(path, Some(uid), Some(gid)).map_err(failed)?;
            }
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let owner = run_as.map_or_else(|| Uid::effective().as_raw(), |account| account.uid);
            let found = std::fs::symlink_metadata(path).map_err(failed)?;
            if found.is_dir() && found.uid() == owner {
                Ok(())
            } else {
                Err(AccountError::Foreign { path: path.to_owned(), owner: found.uid() })
            }
        }
        Err(error) => Err(failed(error)),
    }
}

/// Asks the kernel, which knows of every rule on the way: starts a program there as that account.
async fn can_enter(path: &Path, run_as: RunAs) -> bool {
    let probe = Program::new("/bin/sh").args(["-c", ":"]).in_folder(path).run_as(Some(run_as));
    probe.output(Duration::from_secs(10)).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_fallback_is_stable_and_differs_by_folder() {
        assert_eq!(fallback_for(Path::new("/root/a/pg")), fallback_for(Path::new("/root/a/pg")));
        assert_ne!(fallback_for(Path::new("/root/a/pg")), fallback_for(Path::new("/root/b/pg")));
    }

    #[test]
    fn a_link_is_not_taken_for_a_home() {
        let parent = tempfile::tempdir().unwrap();
        let link = parent.path().join("pg");
        std::os::unix::fs::symlink("/", &link).unwrap();
        assert!(matches!(make(&link, None), Err(AccountError::Foreign { .. })));
    }

    #[tokio::test]
    async fn a_folder_that_the_account_cannot_enter_is_left_as_it_is() {
        let closed = tempfile::tempdir().unwrap();
        std::fs::set_permissions(closed.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let home = home(&closed.path().join("pg")).await.unwrap();
        assert_eq!(home.moved, Uid::effective().is_root());
        let mode = std::fs::metadata(closed.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        if home.moved {
            std::fs::remove_dir(&home.path).unwrap();
        }
    }
}
