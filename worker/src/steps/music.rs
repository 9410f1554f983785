//! `music`: buy the stretch of music under one scene, continuing from the stretch before.

use crate::context::Context;
use crate::purchase::{self, Order};
use spool_db::predictions::{self, Slot};
use spool_db::{jobs, media, scenes};
use spool_job::catalog;
use spool_job::estimate::music_seconds;
use spool_job::media_input::{self, Continuation};
use spool_job::prediction::Purpose;
use spool_job::tasks::{MusicTask, TaskKind};
use spool_queue::{Done, Failure, Handler, Outcome, RetryPolicy, Run};
use spool_telemetry::redact;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const BEFORE: &str = "before.mp3";

/// The step.
pub(super) struct Music(pub(super) Arc<Context>);

impl Handler for Music {
    const KIND: &'static str = TaskKind::Music.as_str();
    const QUEUE: &'static str = TaskKind::Music.queue();
    /// One look or one POST; the waiting in between is done parked.
    const TIMEOUT: Duration = Duration::from_secs(90);
    /// Paid tries are counted by predictions; these are for our own trouble, which must not outlast a bought clip.
    const RETRY: RetryPolicy = RetryPolicy::new(200, &[5, 15, 45]);
    type Payload = MusicTask;

    async fn run(&self, task: MusicTask, run: Run) -> Result<Done, Failure> {
        let ctx = &*self.0;
        let mut conn = ctx.read().await?;
        let Some(job) = jobs::show(&mut conn, task.job_id, None).await? else {
            return Ok(Outcome::Cancel { why: "the job is gone".into() }.into());
        };
        let storyboard = scenes::list(&mut conn, task.job_id).await?;
        let Some(scene) = storyboard.iter().find(|scene| scene.index == task.ordinal) else {
            return Ok(Outcome::Cancel { why: "the scene above this stretch is gone".into() }.into());
        };
        redact::keep_private(&scene.music_prompt);
        let so_far = predictions::music_so_far(&mut conn, task.job_id).await?;
        let before = match so_far.into_iter().rfind(|(ordinal, _)| *ordinal < task.ordinal) {
            Some((_, digest)) => media::get(&mut conn, &digest).await?,
            None => None,
        };
        drop(conn);

        let model = catalog::find("meta/musicgen", Purpose::Music)?;
        let seconds = music_seconds(scene.duration_ms as u32);
        let before_seconds = before.as_ref().and_then(|row| row.duration_ms).map(|ms| (ms / 1000) as u32);
        let prompt = scene.music_prompt.clone();
        let order = Order {
            slot: Slot { job_id: task.job_id, purpose: Purpose::Music, scene: None, ordinal: task.ordinal },
            model,
            resolution: String::new(),
            audio: false,
            media_ms: i64::from(seconds) * 1000,
            media: before.map(|row| (BEFORE.to_owned(), row.digest)).into_iter().collect::<BTreeMap<_, _>>(),
            reuse: job.spec.reuse,
            input: Box::new(move |link| {
                let audio = before_seconds.map(|_| link(BEFORE));
                let before = audio.as_deref().zip(before_seconds);
                media_input::music(
                    &prompt,
                    seconds,
                    before.map(|(audio, seconds)| Continuation { audio, seconds }),
                )
            }),
        };
        purchase::advance(ctx, &run, &order).await
    }
}
