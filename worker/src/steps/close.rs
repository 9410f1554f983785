//! `close`: conclude the job, one way or the other. It waits for everything else, whatever became of
//! it, so nothing of a final job runs any more.

use crate::context::Context;
use crate::crash::crash_point;
use serde_json::json;
use spool_db::jobs::{self, Conclusion, JobRow};
use spool_db::scenes;
use spool_job::spec::OnSceneFailure;
use spool_job::state::SceneState;
use spool_job::tasks::{JobTask, TaskKind, group_key};
use spool_queue::{Done, Failure, Handler, Outcome, RetryPolicy, Run, TaskId, TaskState, inspect};
use std::sync::Arc;
use std::time::Duration;

/// The step.
pub(super) struct Close(pub(super) Arc<Context>);

impl Handler for Close {
    const KIND: &'static str = TaskKind::Close.as_str();
    const QUEUE: &'static str = TaskKind::Close.queue();
    const TIMEOUT: Duration = Duration::from_secs(30);
    /// Nobody else can end the job.
    const RETRY: RetryPolicy = RetryPolicy::new(100, &[1, 5, 15, 45]);
    type Payload = JobTask;

    async fn run(&self, task: JobTask, run: Run) -> Result<Done, Failure> {
        let ctx = &*self.0;
        let mut tx = ctx.pool.begin().await?;
        let state = jobs::lock(&mut tx, task.job_id).await?;
        if state.is_final() {
            return Ok(Outcome::Done(json!({"state": state})).into());
        }
        let Some(job) = jobs::show(&mut tx, task.job_id, None).await? else {
            return Ok(Outcome::Cancel { why: "the job is gone".into() }.into());
        };
        // A job that is canceled before anything ran is still only approved.
        jobs::begin(&mut tx, task.job_id).await?;
        let end = if job.thumbnail_digest.is_some() {
            Conclusion::Completed
        } else {
            failure(&mut tx, &job, run.task_id()).await?
        };
        for scene in scenes::list(&mut tx, task.job_id).await? {
            // Scenes that have a clip, or failed for a reason of their own, stay as they are.
            let why = Some("the job ended before this scene had a clip");
            scenes::move_to(&mut tx, scene.id, scene.version, SceneState::Failed, None, why).await?;
        }
        jobs::conclude(&mut tx, task.job_id, &end).await?;
        crash_point!(Concluding);
        let done = run.commit(tx, Outcome::Done(json!({"state": format!("{end:?}")}))).await?;
        crash_point!(Concluded);
        tracing::info!(job.id = task.job_id, ?end, "the job is over");
        Ok(done)
    }
}

/// Why there is no video: the first failed scene, unless those are skipped; else the task that died.
async fn failure(conn: &mut sqlx::PgConnection, job: &JobRow, close: TaskId) -> Result<Conclusion, Failure> {
    let job_id = job.id;
    let skipped = job.spec.on_scene_failure == OnSceneFailure::Skip;
    let failed = scenes::list(conn, job_id)
        .await?
        .into_iter()
        .find(|scene| scene.state == SceneState::Failed.as_str());
    if let Some(scene) = failed.filter(|_| !skipped) {
        let error = scene.error.unwrap_or_else(|| "no reason given".to_owned());
        return Ok(Conclusion::Failed {
            code: "scene_failed".into(),
            error: format!("scene {}: {error}", scene.index + 1),
        });
    }
    let mut tasks = inspect::tasks_of_group(conn, &group_key(job_id)).await?;
    // Tasks of earlier revisions are of the same group; this one waited for those of its own.
    if let Some(own) = tasks.iter().find(|task| task.id == close).map(|task| task.parents.clone()) {
        tasks.retain(|task| own.contains(&task.id));
    }
    // The last to die is nearest to the video.
    Ok(match tasks.into_iter().rfind(|task| task.state == TaskState::Failed) {
        Some(task) => Conclusion::Failed {
            code: format!("{}_failed", task.kind),
            error: format!(
                "{}: {}",
                task.kind,
                task.last_error.unwrap_or_else(|| "no reason given".to_owned())
            ),
        },
        None => Conclusion::Canceled,
    })
}
