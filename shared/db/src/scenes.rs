//! Scenes: storyboard entry and clip in one row.

use crate::error::{DbError, Doing};
use chrono::{DateTime, Utc};
use spool_job::state::SceneState;
use sqlx::PgConnection;
use std::fmt;
use uuid::Uuid;

/// A scene as it stands.
#[derive(Clone)]
pub struct SceneRow {
    /// Its id.
    pub id: Uuid,
    /// Whose scene.
    pub job_id: i64,
    /// Place in the video, from 0.
    pub index: i32,
    /// Raised by an edit or a regenerate.
    pub version: i32,
    /// For people.
    pub title: String,
    /// For people.
    pub description: String,
    /// Room or place type.
    pub scene_type: Option<String>,
    /// What should be seen.
    pub prompt: String,
    /// What should be heard.
    pub music_prompt: String,
    /// Length in the video.
    pub duration_ms: i32,
    /// Photo of the first frame.
    pub first_asset_id: Uuid,
    /// Photo of the last frame.
    pub last_asset_id: Option<Uuid>,
    /// Where it stands.
    pub state: String,
    /// Its stored clip.
    pub clip_digest: Option<String>,
    /// Size of the clip.
    pub clip_bytes: Option<i64>,
    /// Why it failed.
    pub error: Option<String>,
    /// Its clip must be a new one: the stored output of an equal order will not do.
    pub fresh: bool,
    /// The provider's id of its newest prediction.
    pub provider_id: Option<String>,
    /// Its clip was not bought for it: the earlier purchase that it comes from.
    pub reused_from: Option<Uuid>,
    /// When it was planned.
    pub inserted_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Without its words: they are the caller's and stand in no log.
impl fmt::Debug for SceneRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SceneRow")
            .field("id", &self.id)
            .field("job_id", &self.job_id)
            .field("version", &self.version)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

macro_rules! select {
    ($which:literal, $($arg:expr),+) => {
        sqlx::query_as!(
            SceneRow,
            r#"SELECT s.id, s.job_id, s.index, s.version, s.title, s.description, s.scene_type, s.prompt, s.music_prompt,
                      s.duration_ms, s.first_asset_id, s.last_asset_id, s.state, s.clip_digest, m.bytes AS "clip_bytes?", s.error, s.fresh,
                      (SELECT p.external_id FROM predictions p WHERE p.job_id = s.job_id AND p.scene_id = s.id
                       ORDER BY p.intent_at DESC LIMIT 1) AS provider_id,
                      (SELECT p.reused_from FROM predictions p WHERE p.job_id = s.job_id AND p.scene_id = s.id
                         AND p.scene_version = s.version AND p.state = 'succeeded') AS reused_from,
                      s.inserted_at, s.updated_at
               FROM scenes s LEFT JOIN media m ON m.digest = s.clip_digest
               WHERE "# + $which,
            $($arg),+
        )
    };
}

/// A job's scenes in order.
pub async fn list(conn: &mut PgConnection, job_id: i64) -> Result<Vec<SceneRow>, DbError> {
    select!("s.job_id = $1 ORDER BY s.index", job_id).fetch_all(conn).await.doing("read the scenes of a job")
}

/// The scenes of several jobs, job by job, in order.
pub async fn list_of(conn: &mut PgConnection, jobs: &[i64]) -> Result<Vec<SceneRow>, DbError> {
    select!("s.job_id = ANY($1) ORDER BY s.job_id, s.index", jobs)
        .fetch_all(conn)
        .await
        .doing("read the scenes of jobs")
}

/// One scene.
pub async fn get(conn: &mut PgConnection, id: Uuid) -> Result<Option<SceneRow>, DbError> {
    select!("s.id = $1", id).fetch_optional(conn).await.doing("read a scene")
}

/// Moves a scene of this version to `processing`, `completed` or `failed`; says whether it moved.
/// A scene that was edited meanwhile has another version and is left alone.
pub async fn move_to(
    conn: &mut PgConnection,
    id: Uuid,
    version: i32,
    state: SceneState,
    clip_digest: Option<&str>,
    error: Option<&str>,
) -> Result<bool, DbError> {
    let from: Vec<String> = SceneState::ALL
        .iter()
        .filter(|from| from.can_become(state))
        .map(|from| from.as_str().to_owned())
        .collect();
    let moved = sqlx::query!(
        "UPDATE scenes SET state = $3, clip_digest = $4, error = $5, updated_at = now()
         WHERE id = $1 AND version = $2 AND state = ANY($6)",
        id,
        version,
        state.as_str(),
        clip_digest,
        error,
        &from,
    )
    .execute(conn)
    .await
    .doing("move a scene")?;
    Ok(moved.rows_affected() == 1)
}
