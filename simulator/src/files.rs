//! The files API's store: uploads of clients, kept for 24 hours.

use crate::error::SimulatorError;
use chrono::{DateTime, TimeDelta, Utc};
use spool_provider::wire::FileObject;
use std::path::{Path, PathBuf};

/// How long an upload is kept.
pub(crate) const RETENTION: TimeDelta = TimeDelta::hours(24);
/// Most bytes of an upload.
pub(crate) const LIMIT: u64 = 100 * 1024 * 1024;

/// A folder with two files for each upload: the bytes, and what is known of them.
pub(crate) struct Files {
    dir: PathBuf,
}

impl Files {
    pub(crate) fn open(dir: &Path) -> Result<Self, SimulatorError> {
        let failed = |source| SimulatorError::Data { path: dir.to_path_buf(), source };
        std::fs::create_dir_all(dir).map_err(failed)?;
        Ok(Self { dir: dir.to_path_buf() })
    }

    /// Where the bytes of an upload are. Only for ids that were checked by [`Files::get`] or made here.
    pub(crate) fn path(&self, id: &str) -> PathBuf {
        self.dir.join(id)
    }

    fn card(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }

    /// Keeps what is known of an upload whose bytes are in place.
    pub(crate) fn put(&self, file: &FileObject) -> std::io::Result<()> {
        std::fs::write(self.card(&file.id), serde_json::to_vec(file)?)
    }

    /// An upload that has not expired.
    pub(crate) fn get(&self, id: &str, now: DateTime<Utc>) -> Option<FileObject> {
        let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let card = std::fs::read(self.card(Some(id).filter(|_| plain)?)).ok()?;
        let file: FileObject = serde_json::from_slice(&card).ok()?;
        file.expires_at.is_none_or(|at| now < at).then_some(file)
    }

    /// Every upload that has not expired, newest first.
    pub(crate) fn all(&self, now: DateTime<Utc>) -> Vec<FileObject> {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return Vec::new() };
        let mut files: Vec<FileObject> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".json").map(str::to_owned))
            .filter_map(|id| self.get(&id, now))
            .collect();
        files.sort_by(|one, other| other.created_at.cmp(&one.created_at).then(one.id.cmp(&other.id)));
        files
    }

    /// Forgets an upload; `false` when there is none.
    pub(crate) fn delete(&self, id: &str, now: DateTime<Utc>) -> bool {
        if self.get(id, now).is_none() {
            return false;
        }
        std::fs::remove_file(self.path(id)).ok();
        std::fs::remove_file(self.card(id)).is_ok()
    }

    /// Forgets every upload.
    pub(crate) fn clear(&self) {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return };
        entries.flatten().for_each(|entry| {
            std::fs::remove_file(entry.path()).ok();
        });
    }
}
