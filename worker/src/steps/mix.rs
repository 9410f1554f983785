//! `mix`: put the soundtrack under the joined clips; the video itself is copied.

use super::workspace::{Workspace, keep};
use crate::context::Context;
use crate::crash::crash_point;
use crate::origin::{link_to_parents, signed};
use serde_json::json;
use spool_db::{jobs, media, predictions, scenes, soundtracks};
use spool_job::tasks::{JobTask, TaskKind};
use spool_media::music::Segment;
use spool_queue::{Done, Failure, Handler, Outcome, RetryPolicy, Run};
use spool_telemetry::traces;
use std::sync::Arc;
use std::time::Duration;

/// The step.
pub(super) struct Mix(pub(super) Arc<Context>);

impl Handler for Mix {
    const KIND: &'static str = TaskKind::Mix.as_str();
    const QUEUE: &'static str = TaskKind::Mix.queue();
    const TIMEOUT: Duration = Duration::from_secs(600);
    /// It costs nothing, and a worker that is killed under it counts as an attempt: more than bad luck may take.
    const RETRY: RetryPolicy = RetryPolicy::new(10, &[5, 15, 45]);
    type Payload = JobTask;

    async fn run(&self, task: JobTask, run: Run) -> Result<Done, Failure> {
        let ctx = &*self.0;
        link_to_parents(&run).await;
        let mut conn = ctx.read().await?;
        let Some(job) = jobs::show(&mut conn, task.job_id, None).await? else {
            return Ok(Outcome::Cancel { why: "the job is gone".into() }.into());
        };
        let Some(clips) = job.clips_digest.as_deref() else {
            return Err(Failure::fail("clips_missing", "the clips are not joined"));
        };
        let storyboard = scenes::list(&mut conn, task.job_id).await?;
        let bought = predictions::music_so_far(&mut conn, task.job_id).await?;
        drop(conn);

        let workspace = Workspace::new(ctx)?;
        let video = workspace.fetch(ctx, clips).await?;
        let total = ctx.ffmpeg.probe(&video).await?.duration;
        let mut segments = Vec::new();
        for (ordinal, digest) in &bought {
            // A scene that was skipped takes its stretch of music with it.
            let Some(scene) = storyboard.iter().find(|s| s.index == *ordinal && s.clip_digest.is_some())
            else {
                continue;
            };
            segments.push(Segment {
                path: workspace.fetch(ctx, digest).await?,
                wanted: Duration::from_millis(scene.duration_ms as u64),
            });
        }
        let soundtrack = workspace.path("soundtrack.m4a");
        let fade = Duration::from_millis(job.spec.music_fade_ms.into());
        traces::during("soundtrack", ctx.ffmpeg.soundtrack(&segments, total, fade, &soundtrack)).await?;
        crash_point!(SoundtrackMade);
        let out = workspace.path("video.mp4");
        traces::during("mix", ctx.ffmpeg.mix(&video, &soundtrack, job.spec.audio, &out)).await?;
        let (stored, _) = traces::during("store", keep(ctx, &out, "video/mp4")).await?;
        let music =
            if segments.is_empty() { None } else { Some(keep(ctx, &soundtrack, "audio/mp4").await?.0) };
        crash_point!(MixStored);

        let mut tx = ctx.pool.begin().await?;
        jobs::lock(&mut tx, task.job_id).await?;
        media::record(&mut tx, &stored).await?;
        if let Some(music) = &music {
            media::record(&mut tx, music).await?;
            soundtracks::keep(&mut tx, task.job_id, &music.digest).await?;
        }
        jobs::mixed(&mut tx, task.job_id, &stored.digest, !segments.is_empty()).await?;
        let output = json!({"digest": stored.digest, "stretches": segments.len()});
        let done = run.commit(tx, Outcome::Done(signed(output))).await?;
        crash_point!(MixRecorded);
        Ok(done)
    }
}
