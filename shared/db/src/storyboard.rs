//! Storyboards that are worked on: before the approval as they stand, after the end as a new revision that must be approved again.
//! What was bought for a scene stays with the version that it was bought for.

use crate::error::{DbError, Doing};
use crate::revisions;
use serde_json::json;
use spool_job::estimate::Estimate;
use spool_job::spec::JobSpec;
use spool_job::state::{JobState, UnknownName};
use sqlx::PgConnection;
use uuid::Uuid;

/// Whether somebody may work on a job's storyboard.
#[derive(Debug)]
pub enum Opening {
    /// Yes; the job is locked.
    Open(Open),
    /// It is approved or runs.
    Busy(JobState),
    /// There is no such job (for this owner).
    Unknown,
}

/// A storyboard that may be worked on.
#[derive(Debug)]
pub struct Open {
    /// `pending`, or how the job ended.
    pub state: JobState,
    /// What to make.
    pub spec: JobSpec,
    /// Music was bought for it, stretch by stretch for the lengths that the scenes have.
    pub has_music: bool,
}

/// New words for a scene; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SceneEdit {
    /// For people.
    pub title: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// What should be seen.
    pub prompt: Option<String>,
    /// What should be heard.
    pub music_prompt: Option<String>,
    /// Length in the video.
    pub duration_ms: Option<u32>,
}

impl SceneEdit {
    /// Whether another clip has to be made for it.
    pub fn needs_clip(&self) -> bool {
        self.prompt.is_some() || self.duration_ms.is_some()
    }
}

/// Locks the job and says whether its storyboard may be worked on.
pub async fn open(conn: &mut PgConnection, job_id: i64, owner: Option<Uuid>) -> Result<Opening, DbError> {
    const DOING: &str = "open the storyboard";
    let Some(row) = sqlx::query!(
        r#"SELECT state, spec, EXISTS (SELECT FROM predictions p WHERE p.job_id = jobs.id AND p.purpose = 'music' AND p.state = 'succeeded')
                  AS "has_music!" FROM jobs
           WHERE id = $1 AND deleted_at IS NULL AND ($2::uuid IS NULL OR client_id = $2) FOR UPDATE"#,
        job_id,
        owner,
    )
    .fetch_optional(conn)
    .await
    .doing(DOING)?
    else {
        return Ok(Opening::Unknown);
    };
    let unreadable =
        |what: String| DbError::Unreadable { operation: DOING, what: format!("job {job_id}: {what}") };
    let state: JobState = row.state.parse().map_err(|error: UnknownName| unreadable(error.to_string()))?;
    if state != JobState::Pending && !state.is_final() {
        return Ok(Opening::Busy(state));
    }
    let spec = serde_json::from_value(row.spec).map_err(|error| unreadable(format!("spec: {error}")))?;
    Ok(Opening::Open(Open { state, spec, has_music: row.has_music }))
}

/// Opens a job that has ended as a new revision that waits for approval. The caller holds its lock and found it final.
pub async fn to_pending(conn: &mut PgConnection, job_id: i64) -> Result<(), DbError> {
    const DOING: &str = "open the job for a new approval";
    sqlx::query!(
        "UPDATE jobs SET state = 'pending', revision = revision + 1, approved_at = NULL, finished_at = NULL, error_code = NULL,
                error = NULL, progress_percent = 0, partial = false, parked = NULL, parked_why = NULL, parked_until = NULL,
                cancel_requested_at = NULL, cancel_requested_by = NULL,
                clips_digest = NULL, music_digest = NULL, video_digest = NULL, thumbnail_digest = NULL
         WHERE id = $1",
        job_id
    )
    .execute(&mut *conn)
    .await
    .doing(DOING)?;
    revisions::open_scenes(conn, job_id).await
}

/// Changes a scene. A new prompt or length makes a new version of it, which has no clip yet.
pub async fn edit(conn: &mut PgConnection, scene: Uuid, edit: &SceneEdit) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE scenes SET title = COALESCE($2, title), description = COALESCE($3, description), prompt = COALESCE($4, prompt),
                music_prompt = COALESCE($5, music_prompt), duration_ms = COALESCE($6, duration_ms),
                version = version + $7::boolean::integer, state = CASE WHEN $7 THEN 'pending' ELSE state END,
                clip_digest = CASE WHEN $7 THEN NULL ELSE clip_digest END, error = CASE WHEN $7 THEN NULL ELSE error END,
                fresh = fresh AND NOT $7,
                updated_at = now()
         WHERE id = $1",
        scene,
        edit.title,
        edit.description,
        edit.prompt,
        edit.music_prompt,
        edit.duration_ms.map(|ms| ms as i32),
        edit.needs_clip(),
    )
    .execute(conn)
    .await
    .doing("change the scene")?;
    Ok(())
}

/// A new version of a scene whose clip must be a new one, whatever lies in the store.
pub(crate) async fn renew(conn: &mut PgConnection, scene: Uuid, new: &SceneEdit) -> Result<(), DbError> {
    edit(conn, scene, &SceneEdit { prompt: None, duration_ms: None, ..new.clone() }).await?;
    sqlx::query!(
        "UPDATE scenes SET prompt = COALESCE($2, prompt), version = version + 1, state = 'pending', clip_digest = NULL, error = NULL,
                fresh = true, updated_at = now()
         WHERE id = $1",
        scene,
        new.prompt,
    )
    .execute(conn)
    .await
    .doing("ask for a new clip of the scene")?;
    Ok(())
}

/// Puts all scenes of a job in this order.
pub async fn reorder(conn: &mut PgConnection, job_id: i64, order: &[Uuid]) -> Result<(), DbError> {
    const DOING: &str = "put the scenes in order";
    let moved = sqlx::query!(
        "UPDATE scenes s SET index = o.place - 1, updated_at = CASE WHEN s.index = o.place - 1 THEN s.updated_at ELSE now() END
         FROM unnest($2::uuid[]) WITH ORDINALITY AS o(id, place) WHERE s.id = o.id AND s.job_id = $1",
        job_id,
        order,
    )
    .execute(conn)
    .await
    .doing(DOING)?;
    if moved.rows_affected() != order.len() as u64 {
        return Err(DbError::Moved { operation: DOING, what: format!("the storyboard of job {job_id}") });
    }
    Ok(())
}

/// Takes a scene out; those after it move up. What was bought for it stays in the books.
pub async fn remove(conn: &mut PgConnection, job_id: i64, scene: Uuid) -> Result<(), DbError> {
    const DOING: &str = "take the scene out";
    let index = sqlx::query_scalar!(
        "DELETE FROM scenes WHERE id = $1 AND job_id = $2 RETURNING index",
        scene,
        job_id
    )
    .fetch_optional(&mut *conn)
    .await
    .doing(DOING)?
    .ok_or_else(|| DbError::Moved { operation: DOING, what: format!("scene {scene}") })?;
    sqlx::query!("UPDATE scenes SET index = index - 1 WHERE job_id = $1 AND index > $2", job_id, index)
        .execute(conn)
        .await
        .doing(DOING)?;
    Ok(())
}

/// What the job is thought to cost now.
pub async fn set_estimate(conn: &mut PgConnection, job_id: i64, estimate: &Estimate) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE jobs SET estimate = $2, estimate_micros = $3 WHERE id = $1",
        job_id,
        json!(estimate),
        estimate.total_micros.0,
    )
    .execute(conn)
    .await
    .doing("write the new estimate")?;
    Ok(())
}
