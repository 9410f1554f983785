//! `render`: buy a scene's clip and wait for it.

use crate::context::Context;
use crate::purchase::{self, Order};
use spool_db::predictions::Slot;
use spool_db::{assets, jobs, scenes};
use spool_job::media_input::{self, RenderInput};
use spool_job::prediction::Purpose;
use spool_job::tasks::{RenderTask, TaskKind};
use spool_queue::{Done, Failure, Handler, Outcome, RetryPolicy, Run};
use spool_telemetry::redact;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const FIRST: &str = "first.jpg";
const LAST: &str = "last.jpg";

/// The step.
pub(super) struct Render(pub(super) Arc<Context>);

impl Handler for Render {
    const KIND: &'static str = TaskKind::Render.as_str();
    const QUEUE: &'static str = TaskKind::Render.queue();
    /// One look or one POST; the waiting in between is done parked.
    const TIMEOUT: Duration = Duration::from_secs(90);
    /// Paid tries are counted by predictions; these are for our own trouble, which must not outlast a bought clip.
    const RETRY: RetryPolicy = RetryPolicy::new(200, &[5, 15, 45]);
    type Payload = RenderTask;

    async fn run(&self, task: RenderTask, run: Run) -> Result<Done, Failure> {
        let ctx = &*self.0;
        let mut conn = ctx.read().await?;
        let Some(scene) =
            scenes::get(&mut conn, task.scene_id).await?.filter(|s| s.version == task.scene_version)
        else {
            return Ok(Outcome::Cancel { why: "the scene was changed after this was planned".into() }.into());
        };
        redact::keep_private(&scene.prompt);
        let Some(job) = jobs::show(&mut conn, task.job_id, None).await? else {
            return Ok(Outcome::Cancel { why: "the job is gone".into() }.into());
        };
        let mut media = BTreeMap::new();
        for (name, asset) in [(FIRST, Some(scene.first_asset_id)), (LAST, scene.last_asset_id)] {
            let Some(asset) = asset else { continue };
            let found = assets::content(&mut conn, asset).await?;
            let Some(found) = found else {
                return Err(Failure::fail(
                    "asset_missing",
                    format!("photo {asset} of scene {} was deleted", scene.index + 1),
                ));
            };
            media.insert(name.to_owned(), found);
        }
        drop(conn);

        let model = job.spec.model()?;
        let seconds = model.snap_duration(&job.spec.resolution, scene.duration_ms as u32)?;
        let has_last = media.contains_key(LAST);
        let (spec, prompt) = (job.spec.clone(), scene.prompt.clone());
        let order = Order {
            slot: Slot {
                job_id: task.job_id,
                purpose: Purpose::Render,
                scene: Some((scene.id, scene.version)),
                ordinal: 0,
            },
            model,
            resolution: job.spec.resolution.clone(),
            audio: job.spec.audio,
            media_ms: i64::from(seconds) * 1000,
            media,
            reuse: job.spec.reuse && !scene.fresh,
            input: Box::new(move |link| {
                let last = has_last.then(|| link(LAST));
                let ask = RenderInput {
                    prompt: &prompt,
                    first: &link(FIRST),
                    last: last.as_deref(),
                    seconds,
                    resolution: &spec.resolution,
                    aspect: &spec.aspect,
                    audio: spec.audio,
                };
                media_input::render(model, ask)
            }),
        };
        purchase::advance(ctx, &run, &order).await
    }
}
