//! `collect`: bring a prediction's output home before it vanishes.

use super::workspace::{Workspace, keep_probed};
use crate::context::Context;
use crate::crash::crash_point;
use crate::origin::signed;
use serde_json::json;
use spool_db::predictions::PredictionRow;
use spool_db::{custody, jobs, media, predictions, progress, scenes};
use spool_job::prediction::Purpose;
use spool_job::state::SceneState;
use spool_job::tasks::{CollectTask, TaskKind};
use spool_media::kind::{self, HEAD_BYTES};
use spool_media::probe::Probe;
use spool_provider::download::{self, Bounds, DownloadError};
use spool_queue::{Done, Failure, Handler, Outcome, RetryPolicy, Run};
use spool_telemetry::{programs, traces};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// Largest output taken, in bytes: clips of a minute at 1080p stay far below.
const LIMIT: u64 = 1024 * 1024 * 1024;
/// Class of the failure when the provider has removed an output before it was stored.
const OUTPUT_LOST: &str = "output_lost";

/// The step.
pub(super) struct Collect(pub(super) Arc<Context>);

impl Handler for Collect {
    const KIND: &'static str = TaskKind::Collect.as_str();
    const QUEUE: &'static str = TaskKind::Collect.queue();
    const TIMEOUT: Duration = Duration::from_secs(300);
    /// The output was paid for: it is tried for as long as it can be there.
    const RETRY: RetryPolicy = RetryPolicy::new(40, &[2, 5, 15, 45, 120]);
    type Payload = CollectTask;

    async fn run(&self, task: CollectTask, run: Run) -> Result<Done, Failure> {
        let ctx = &*self.0;
        let mut conn = ctx.read().await?;
        let Some(row) = predictions::get(&mut conn, task.prediction_id).await? else {
            return Err(Failure::fail(
                "prediction_missing",
                format!("prediction {} has no row", task.prediction_id),
            ));
        };
        drop(conn);
        if row.output_digest.is_some() {
            return Ok(Outcome::Done(signed(json!({"digest": row.output_digest}))).into());
        }
        let workspace = Workspace::new(ctx)?;
        let path = workspace.path("output");
        if let Err(failure) = traces::during("download", fetch(ctx, &row, &path)).await {
            return gone(ctx, &run, &row, failure).await;
        }
        crash_point!(Downloaded);
        let (content_type, probe) = traces::during("check", check(ctx, &row, &path)).await?;
        crash_point!(OutputChecked);
        let (stored, _) = traces::during("store", keep_probed(ctx, &path, content_type, probe)).await?;
        crash_point!(OutputStored);

        let mut tx = ctx.pool.begin().await?;
        jobs::lock(&mut tx, row.job_id).await?;
        media::record(&mut tx, &stored).await?;
        if let (Purpose::Render, Some(scene_id), Some(version)) =
            (row.purpose, row.scene_id, row.scene_version)
        {
            scenes::move_to(&mut tx, scene_id, version, SceneState::Completed, Some(&stored.digest), None)
                .await?;
        }
        predictions::collected(&mut tx, row.id, &stored.digest).await?;
        let data = json!({"prediction_id": row.id, "scene_id": row.scene_id, "ordinal": row.ordinal, "bytes": stored.bytes});
        progress::refresh(&mut tx, row.job_id, &format!("{}_collected", row.purpose), &data).await?;
        crash_point!(CollectUncommitted);
        let done = run.commit(tx, Outcome::Done(signed(json!({"digest": stored.digest})))).await?;
        crash_point!(CollectRecorded);
        Ok(done)
    }
}

/// What the provider has removed is paid but lost: that is written down with the end of the task. What we refuse to fetch is
/// still there, for whoever sets it right within the hour.
async fn gone(ctx: &Context, run: &Run, row: &PredictionRow, failure: Failure) -> Result<Done, Failure> {
    if failure.class() != OUTPUT_LOST {
        return Err(failure);
    }
    tracing::error!(prediction_id = %row.id, error = failure.error(), "paid but lost");
    let mut tx = ctx.pool.begin().await?;
    jobs::lock(&mut tx, row.job_id).await?;
    custody::lost(&mut tx, row.id).await?;
    let data = json!({"prediction_id": row.id, "scene_id": row.scene_id, "error": failure.error()});
    progress::refresh(&mut tx, row.job_id, "output_lost", &data).await?;
    Ok(run.commit(tx, failure).await?)
}

async fn fetch(ctx: &Context, row: &PredictionRow, path: &Path) -> Result<(), Failure> {
    let url = row.output_url.as_deref().unwrap_or_default();
    match download::fetch(&ctx.fetch, url, path, Bounds::of(LIMIT)).await {
        Ok(downloaded) => {
            programs::bytes_in(downloaded.bytes);
            Ok(())
        }
        // Gone for good only when the provider itself says that the data are removed.
        Err(DownloadError::Gone { .. }) => {
            let Some(external_id) = row.external_id.as_deref() else {
                return Err(Failure::fail(
                    OUTPUT_LOST,
                    "paid but lost: the output is gone and there is no id to ask for",
                ));
            };
            ctx.reads.token_or_go(&ctx.pool).await;
            let now = ctx.replicate.get(external_id).await?;
            crash_point!(OutputAskedAgain);
            match now.output_urls().first() {
                Some(again) => {
                    programs::bytes_in(
                        download::fetch(&ctx.fetch, again, path, Bounds::of(LIMIT)).await?.bytes,
                    );
                    Ok(())
                }
                None => Err(Failure::fail(OUTPUT_LOST, "paid but lost: the provider has removed the output")),
            }
        }
        Err(error) if error.is_final() => Err(Failure::fail("output_refused", error)),
        Err(error) => Err(error.into()),
    }
}

/// By the file's first bytes, not by what the server called it.
async fn content_type(path: &Path) -> Result<&'static str, Failure> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    tokio::fs::File::open(path).await?.take(HEAD_BYTES as u64).read_to_end(&mut head).await?;
    let detected = kind::detect(&head).map(|detected| detected.content_type);
    detected.ok_or_else(|| Failure::retry("wrong_media", "the output is no medium we know"))
}

/// A download is whole only when its packets are: a truncated file can still look right to a probe.
async fn check(ctx: &Context, row: &PredictionRow, path: &Path) -> Result<(&'static str, Probe), Failure> {
    ctx.scan.packet_scan(path).await?;
    let probe = ctx.scan.probe(path).await?;
    match row.purpose {
        Purpose::Render | Purpose::Image if probe.video.is_some() => Ok((content_type(path).await?, probe)),
        Purpose::Music | Purpose::Voice if probe.audio.is_some() => Ok((content_type(path).await?, probe)),
        purpose => Err(Failure::retry(
            "wrong_media",
            format!("the output of a {purpose} prediction holds no such media"),
        )),
    }
}
