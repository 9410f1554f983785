//! How a storyboard is worked on, whatever the route: opened under the job's lock, changed, priced anew, told.

use serde_json::Value;
use spool_db::scenes::{self, SceneRow};
use spool_db::storyboard::{self, Open, Opening, SceneEdit};
use spool_db::{jobs, learned, progress};
use spool_job::estimate::{self, Estimate};
use spool_job::spec::{JobSpec, MAX_CLIP_MS};
use spool_job::state::JobState;
use spool_job::tasks::group_key;
use spool_queue::inspect;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::{ApiError, Code};
use crate::routes::jobs::duplicate;
use crate::state::AppState;
use crate::validation::Invalid;

/// Opens the storyboard of a job of theirs. Nothing of a job that runs is changed.
pub async fn open(conn: &mut PgConnection, job_id: i64, caller: &Caller) -> Result<Open, ApiError> {
    match storyboard::open(conn, job_id, caller.client).await? {
        Opening::Open(open) => Ok(open),
        Opening::Unknown => Err(ApiError::not_found("job", job_id).with("job_id", job_id)),
        Opening::Busy(at) => {
            let why = format!(
                "job {job_id} is {at}: its storyboard can be changed before its approval and after its end"
            );
            Err(ApiError::unprocessable(Code::NotPending, why.clone())
                .with("job_id", job_id)
                .with("current_status", at.as_str())
                .with("reason", why))
        }
    }
}

/// A scene of this job.
pub async fn scene_of(
    conn: &mut PgConnection,
    job_id: i64,
    scene_id: Uuid,
    caller: &Caller,
) -> Result<SceneRow, ApiError> {
    let unknown = || ApiError::not_found("scene", scene_id).with("job_id", job_id);
    let scene = scenes::get(conn, scene_id).await?.ok_or_else(unknown)?;
    if scene.job_id != job_id {
        // To a key that may not see the other job, its scene does not exist.
        jobs::version(conn, scene.job_id, caller.client).await?.ok_or_else(unknown)?;
        let why = format!("scene {scene_id} belongs to another job");
        return Err(ApiError::unprocessable(Code::WrongJob, why).with("job_id", job_id));
    }
    Ok(scene)
}

/// A job that has ended becomes a new revision that waits for approval; one that waits already stays as it is.
pub async fn to_pending(conn: &mut PgConnection, job_id: i64, open: &Open) -> Result<(), ApiError> {
    if open.state == JobState::Pending {
        return Ok(());
    }
    // Tasks of a canceled job may still be on their way out.
    let tasks = inspect::tasks_of_group(conn, &group_key(job_id)).await.map_err(ApiError::internal)?;
    if tasks.iter().any(|task| !task.state.is_final()) {
        let why = format!("the tasks of job {job_id} are still ending; try again in a moment");
        return Err(ApiError::new(http::StatusCode::CONFLICT, Code::AlreadyRunning, why)
            .with("job_id", job_id)
            .with("current_status", open.state.as_str()));
    }
    Ok(storyboard::to_pending(conn, job_id).await?)
}

/// Prices the storyboard as it is now at today's prices, and tells of the change.
pub async fn changed(
    conn: &mut PgConnection,
    job_id: i64,
    spec: &JobSpec,
    state: &AppState,
    kind: &str,
    data: &Value,
) -> Result<Estimate, ApiError> {
    let scenes = duplicate::storyboard(scenes::list(conn, job_id).await?);
    let learned = learned::all(conn).await?;
    let estimate = estimate::job(spec, &scenes, state.clock.now().date_naive())
        .map_err(|error| ApiError::unprocessable(Code::JobCreationFailed, error.to_string()))?
        .with_learned(|model, unit| learned.p95_permille(model, unit));
    storyboard::set_estimate(conn, job_id, &estimate).await?;
    progress::refresh(conn, job_id, kind, data).await?;
    Ok(estimate)
}

/// Only what is another than before: a scene that is sent back as it came changes nothing.
pub fn only_news(edit: SceneEdit, scene: &SceneRow) -> SceneEdit {
    let news = |given: Option<String>, before: &str| given.filter(|given| given != before);
    SceneEdit {
        title: news(edit.title, &scene.title),
        description: news(edit.description, &scene.description),
        prompt: news(edit.prompt, &scene.prompt),
        music_prompt: news(edit.music_prompt, &scene.music_prompt),
        duration_ms: edit.duration_ms.filter(|ms| *ms != scene.duration_ms.unsigned_abs()),
    }
}

/// What the music that was bought does not allow any more, and what the model cannot do.
pub fn check(edit: &SceneEdit, open: &Open) -> Result<(), ApiError> {
    let mut invalid = Invalid::default();
    if open.has_music {
        let why = "can't be changed once the music was bought for it: duplicate the job";
        if edit.duration_ms.is_some() {
            invalid.add("duration", why);
        }
        if edit.music_prompt.is_some() {
            invalid.add("music_prompt", why);
        }
    }
    if let Some(ms) = edit.duration_ms
        && let Err(error) = open.spec.check(ms)
    {
        invalid.add("duration", error.to_string());
    }
    invalid.finish()
}

/// Seconds of a shot as milliseconds.
pub fn duration_ms(seconds: Option<f64>, invalid: &mut Invalid) -> Option<u32> {
    let seconds = seconds?;
    let longest = f64::from(MAX_CLIP_MS) / 1000.0;
    if !(1.0..=longest).contains(&seconds) {
        invalid.add("duration", format!("must be between 1 and {longest} seconds"));
        return None;
    }
    Some((seconds * 1000.0).round() as u32)
}

/// A text on one line that may be left out, but not empty.
pub fn words(field: &str, given: Option<String>, most: usize, invalid: &mut Invalid) -> Option<String> {
    let given = given?;
    let given = invalid.required_text(field, Some(given), most);
    Some(spool_job::prompt::one_line(&given))
}
