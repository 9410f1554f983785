//! `stitch`: join the clips in order, by copy wherever they match.

use super::workspace::{Workspace, keep};
use crate::context::Context;
use crate::crash::crash_point;
use crate::origin::{link_to_parents, signed};
use serde_json::json;
use spool_db::{jobs, media, scenes};
use spool_job::spec::OnSceneFailure;
use spool_job::tasks::{JobTask, TaskKind};
use spool_media::profile::Target;
use spool_media::stitch::Clip;
use spool_queue::{Done, Failure, Handler, Outcome, RetryPolicy, Run};
use spool_telemetry::traces;
use std::sync::Arc;
use std::time::Duration;

/// The step.
pub(super) struct Stitch(pub(super) Arc<Context>);

impl Handler for Stitch {
    const KIND: &'static str = TaskKind::Stitch.as_str();
    const QUEUE: &'static str = TaskKind::Stitch.queue();
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
        let storyboard = scenes::list(&mut conn, task.job_id).await?;
        drop(conn);
        let workspace = Workspace::new(ctx)?;
        let mut clips = Vec::with_capacity(storyboard.len());
        for scene in &storyboard {
            match &scene.clip_digest {
                Some(digest) => clips.push(Clip {
                    path: workspace.fetch(ctx, digest).await?,
                    cut_to: Duration::from_millis(scene.duration_ms as u64),
                }),
                None if job.spec.on_scene_failure == OnSceneFailure::Skip => {}
                None => {
                    return Err(Failure::fail(
                        "clip_missing",
                        format!("scene {} has no clip", scene.index + 1),
                    ));
                }
            }
        }
        if clips.is_empty() {
            return Err(Failure::fail("all_scenes_failed", "no scene has a clip"));
        }
        let size = job.spec.frame_size();
        let out = workspace.path("joined.mp4");
        let target =
            Target { size: Some((size.width, size.height)), audio: job.spec.audio, ..Target::default() };
        let joined = traces::during("join", ctx.ffmpeg.join(&clips, target, &out)).await?;
        crash_point!(Stitched);
        let (stored, _) = traces::during("store", keep(ctx, &out, "video/mp4")).await?;
        crash_point!(StitchStored);

        let mut tx = ctx.pool.begin().await?;
        jobs::lock(&mut tx, task.job_id).await?;
        media::record(&mut tx, &stored).await?;
        jobs::stitched(&mut tx, task.job_id, &stored.digest, clips.len() < storyboard.len()).await?;
        let output =
            json!({"digest": stored.digest, "copied": joined.copied, "normalised": joined.normalised});
        let done = run.commit(tx, Outcome::Done(signed(output))).await?;
        crash_point!(StitchRecorded);
        Ok(done)
    }
}
