//! `close`: conclude the job, one way or the other. It waits for everything else, whatever became of
//! it, so nothing of a final job runs any more.

use crate::context::Context;
use crate::crash::crash_point;
use crate::meter;
use crate::steps::recall;
use serde_json::json;
use spool_db::jobs::{self, Conclusion, JobRow};
use spool_db::{cancellation, job_times, predictions, scenes};
use spool_job::spec::OnSceneFailure;
use spool_job::state::SceneState;
use spool_job::tasks::{JobTask, TaskKind, group_key};
use spool_queue::{Bell, Done, Failure, Handler, Outcome, RetryPolicy, Run, TaskId, TaskState, inspect};
use std::sync::Arc;
use std::time::Duration;

/// How soon it is looked again whether all of it has ended, at first and in the end: what is in doubt waits for a person.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

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
        if let Some(why) = not_yet(&mut tx, &run, task.job_id).await? {
            let (why, bell) = why;
            return Ok(run.commit_with(tx, Outcome::park_in(rest(run.parks()), why), bell).await?);
        }
        let called_off = cancellation::requested_at(&mut tx, task.job_id).await?.is_some();
        // A job that is canceled before anything ran is still only approved.
        jobs::begin(&mut tx, task.job_id).await?;
        let end = if called_off {
            Conclusion::Canceled
        } else if job.thumbnail_digest.is_some() {
            Conclusion::Completed
        } else {
            failure(&mut tx, &job, run.task_id()).await?
        };
        for scene in scenes::list(&mut tx, task.job_id).await? {
            // Scenes that have a clip, or failed for a reason of their own, stay as they are.
            let why = Some(if called_off {
                "the job was canceled"
            } else {
                "the job ended before this scene had a clip"
            });
            scenes::move_to(&mut tx, scene.id, scene.version, SceneState::Failed, None, why).await?;
        }
        jobs::conclude(&mut tx, task.job_id, &end).await?;
        let times = job_times::of_job(&mut tx, task.job_id).await?;
        crash_point!(Concluding);
        let done = run.commit(tx, Outcome::Done(json!({"state": format!("{end:?}")}))).await?;
        crash_point!(Concluded);
        if let Some(times) = times {
            meter::job_ended(&end, &times);
        }
        tracing::info!(job_id = task.job_id, outcome = ?end, "the job is over");
        Ok(done)
    }
}

/// Every second for a while, then less and less often.
fn rest(looks: u32) -> Duration {
    let (first, last) = LOOK_AGAIN;
    first.saturating_mul(1 + looks / 10).min(last)
}

/// A job is not over while something of it runs or holds money: tasks that were added to wind it up, and predictions whose own task
/// is gone, which get one that calls them off.
async fn not_yet(
    conn: &mut sqlx::PgConnection,
    run: &Run,
    job_id: i64,
) -> Result<Option<(&'static str, Bell)>, Failure> {
    let mut bell = Bell::silent();
    let open = predictions::open_of_job(conn, job_id).await?;
    for prediction in &open {
        bell.merge(recall::of(job_id, *prediction).enqueue(conn).await?.bell);
    }
    if !open.is_empty() {
        return Ok(Some(("predictions are being called off", bell)));
    }
    let tasks = inspect::tasks_of_group(conn, &group_key(job_id)).await?;
    let others = tasks.iter().any(|task| task.id != run.task_id() && !task.state.is_final());
    Ok(others.then_some(("an output is being fetched", bell)))
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
