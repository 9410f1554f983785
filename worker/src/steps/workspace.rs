//! A step's own folder, and the stored files it works on. The folder goes when the step ends; what a
//! killed process left behind is swept at a later start.

use crate::context::Context;
use spool_db::media::MediaRow;
use spool_media::key::Digest;
use spool_media::probe::Probe;
use spool_queue::Failure;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder of its own.
pub(super) struct Workspace {
    dir: TempDir,
}

impl Workspace {
    /// Makes the folder beside the store.
    pub(super) fn new(ctx: &Context) -> Result<Self, Failure> {
        Ok(Self { dir: ctx.store.scratch().folder()? })
    }

    /// A path in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file to read the stored bytes of `digest` from.
    pub(super) async fn fetch(&self, ctx: &Context, digest: &str) -> Result<PathBuf, Failure> {
        let digest: Digest = digest.parse()?;
        Ok(ctx.store.local_copy(&digest, self.dir.path()).await?)
    }
}

/// Puts a finished file into the store and says what to record about it.
pub(super) async fn keep(
    ctx: &Context,
    path: &Path,
    content_type: &str,
) -> Result<(MediaRow, Probe), Failure> {
    keep_probed(ctx, path, content_type, ctx.ffmpeg.probe(path).await?).await
}

/// The same for a file that was looked at already.
pub(super) async fn keep_probed(
    ctx: &Context,
    path: &Path,
    content_type: &str,
    probe: Probe,
) -> Result<(MediaRow, Probe), Failure> {
    let stored = ctx.store.put_file(path).await?;
    let video = probe.video.as_ref();
    let row = MediaRow {
        digest: stored.digest.to_string(),
        bytes: stored.bytes as i64,
        content_type: content_type.to_owned(),
        width: video.map(|v| v.width as i32),
        height: video.map(|v| v.height as i32),
        duration_ms: (!content_type.starts_with("image/")).then_some(probe.duration.as_millis() as i64),
    };
    Ok((row, probe))
}
