//! Which installed Postgres to use: the newest of the versions we claim, or the one that made the data.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::supervisor::process::Program;

/// Versions we claim to work with, oldest and newest.
const OLDEST: u32 = 15;
const NEWEST: u32 = 18;

/// Folders that packages use, as parent and the part below each version's folder.
const USUAL: &[(&str, &str)] = &[
    ("/usr/lib/postgresql", "bin"),
    ("/usr", "bin"),
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "bin"),
];

/// No Postgres that would do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BinariesError {
    #[error(
        "no Postgres {OLDEST} to {NEWEST} found on PATH or in the usual folders: install one, for example with \
         `scripts/bootstrap.sh` or `apt-get install postgresql` (no server needs to run)"
    )]
    None,
    #[error("the data in {} was made by Postgres {made_by}, which is not installed: install it, or delete the data", data.display())]
    Other { made_by: u32, data: PathBuf },
}

/// The programs of one installed Postgres.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    /// Folder of `postgres` and `initdb`.
    pub(crate) folder: PathBuf,
    /// Major version.
    pub(crate) major: u32,
    /// Full version for people, such as `15.18`.
    pub(crate) version: String,
}

/// Finds the newest installed Postgres of the versions we claim; for a cluster that exists, the one that made it.
pub(crate) async fn find(data: &Path) -> Result<Binaries, BinariesError> {
    let mut found = Vec::new();
    for folder in candidates() {
        found.extend(inspect(folder).await);
    }
    let made_by =
        std::fs::read_to_string(data.join("PG_VERSION")).ok().and_then(|text| text.trim().parse().ok());
    choose(found, made_by, data)
}

fn choose(found: Vec<Binaries>, made_by: Option<u32>, data: &Path) -> Result<Binaries, BinariesError> {
    let mut usable: Vec<_> = found.into_iter().filter(|one| (OLDEST..=NEWEST).contains(&one.major)).collect();
    // Among equals the first found stays first: PATH before the usual folders.
    usable.sort_by_key(|one| std::cmp::Reverse(one.major));
    match made_by {
        None => usable.into_iter().next().ok_or(BinariesError::None),
        Some(made_by) => usable
            .into_iter()
            .find(|one| one.major == made_by)
            .ok_or_else(|| BinariesError::Other { made_by, data: data.to_owned() }),
    }
}

fn candidates() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push(PathBuf::from("/usr/local/pgsql/bin"));
    for (parent, below) in USUAL {
        let Ok(entries) = std::fs::read_dir(parent) else { continue };
        let mut versions: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path().join(below))).collect();
        versions.sort();
        folders.extend(versions);
    }
    folders.retain(|folder| folder.join("postgres").is_file() && folder.join("initdb").is_file());
    folders
}

async fn inspect(folder: PathBuf) -> Option<Binaries> {
    let shown =
        Program::new(folder.join("postgres")).arg("--version").output(Duration::from_secs(10)).await.ok()?;
    let (major, version) = parse_version(&shown)?;
    Some(Binaries { folder, major, version })
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` is major 15, version `15.18`.
fn parse_version(shown: &str) -> Option<(u32, String)> {
    let version = shown.split_once("(PostgreSQL) ")?.1.split_whitespace().next()?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    Some((digits.parse().ok()?, version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(major: u32, folder: &str) -> Binaries {
        Binaries { folder: PathBuf::from(folder), major, version: format!("{major}.1") }
    }

    #[test]
    fn versions_are_read_as_they_are_printed() {
        let table = [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some((15, "15.18".to_owned()))),
            ("postgres (PostgreSQL) 18beta1\n", Some((18, "18beta1".to_owned()))),
            ("postgres (EnterpriseDB)", None),
        ];
        for (shown, expected) in table {
            assert_eq!(parse_version(shown), expected, "{shown}");
        }
    }

    #[test]
    fn the_newest_that_we_claim_wins_unless_data_exists() {
        let found = vec![of(14, "/a"), of(15, "/b"), of(17, "/c"), of(17, "/d"), of(19, "/e")];
        let data = Path::new("/data");
        assert_eq!(choose(found.clone(), None, data).unwrap().folder, Path::new("/c"));
        assert_eq!(choose(found.clone(), Some(15), data).unwrap().folder, Path::new("/b"));
        assert!(matches!(choose(found, Some(16), data), Err(BinariesError::Other { made_by: 16, .. })));
        assert!(matches!(choose(vec![of(14, "/a")], None, data), Err(BinariesError::None)));
    }
}
