//! `verify`: decode the whole video, hold it against the storyboard, and keep a frame of it.

use super::workspace::{Workspace, keep};
use crate::context::Context;
use crate::crash::crash_point;
use serde_json::json;
use spool_db::{jobs, media, scenes};
use spool_job::tasks::{JobTask, TaskKind};
use spool_media::thumbnail::Fit;
use spool_media::verify::Expect;
use spool_queue::{Done, Failure, Handler, Outcome, RetryPolicy, Run};
use spool_telemetry::traces;
use std::sync::Arc;
use std::time::Duration;

/// How far the video's length may be from the storyboard's.
const TOLERANCE: Duration = Duration::from_millis(200);
/// The thumbnail shows this moment, or the middle of a shorter video.
const THUMBNAIL_AT: Duration = Duration::from_secs(1);
const THUMBNAIL: Fit = Fit { width: 640, height: 360, padded: true };

/// The step.
pub(super) struct Verify(pub(super) Arc<Context>);

impl Handler for Verify {
    const KIND: &'static str = TaskKind::Verify.as_str();
    const QUEUE: &'static str = TaskKind::Verify.queue();
    const TIMEOUT: Duration = Duration::from_secs(600);
    /// It costs nothing, and a worker that is killed under it counts as an attempt: more than bad luck may take.
    const RETRY: RetryPolicy = RetryPolicy::new(10, &[5, 15, 45]);
    type Payload = JobTask;

    async fn run(&self, task: JobTask, run: Run) -> Result<Done, Failure> {
        let ctx = &*self.0;
        let mut conn = ctx.read().await?;
        let Some(job) = jobs::show(&mut conn, task.job_id, None).await? else {
            return Ok(Outcome::Cancel { why: "the job is gone".into() }.into());
        };
        let Some(digest) = job.video_digest.as_deref() else {
            return Err(Failure::fail("video_missing", "there is no mixed video"));
        };
        let storyboard = scenes::list(&mut conn, task.job_id).await?;
        drop(conn);
        let wanted = storyboard
            .iter()
            .filter(|scene| scene.clip_digest.is_some())
            .map(|scene| scene.duration_ms as u64)
            .sum();

        let workspace = Workspace::new(ctx)?;
        let video = workspace.fetch(ctx, digest).await?;
        let size = job.spec.frame_size();
        let expect = Expect {
            width: size.width,
            height: size.height,
            duration: Duration::from_millis(wanted),
            tolerance: TOLERANCE,
            audio: true,
        };
        let verified = traces::during("decode", ctx.ffmpeg.check(&video, &expect)).await?;
        let frame = workspace.path("thumbnail.jpg");
        ctx.ffmpeg.thumbnail(&video, THUMBNAIL_AT, THUMBNAIL, &frame).await?;
        let (stored, _) = keep(ctx, &frame, "image/jpeg").await?;
        crash_point!(ThumbnailStored);

        let mut tx = ctx.pool.begin().await?;
        jobs::lock(&mut tx, task.job_id).await?;
        media::record(&mut tx, &stored).await?;
        let data = json!({"duration_ms": verified.duration.as_millis() as u64, "width": size.width, "height": size.height});
        jobs::verified(&mut tx, task.job_id, &stored.digest, &data).await?;
        let done = run.commit(tx, Outcome::Done(data)).await?;
        crash_point!(VerifyRecorded);
        Ok(done)
    }
}
