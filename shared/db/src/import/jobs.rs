//! Jobs that ended, or stood still, in an older system: with their numbers, videos, scenes and times.

use crate::error::{DbError, Doing};
use crate::events;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use spool_job::estimate::Estimate;
use spool_job::spec::{JobKind, JobSpec};
use spool_job::state::{JobState, SceneState};
use sqlx::PgConnection;
use uuid::Uuid;

/// A job as it is to stand here.
#[derive(Debug, Clone)]
pub struct OldJob {
    /// How it came to be.
    pub kind: JobKind,
    /// Where it stands: pending or ended, for no task of ours works on it.
    pub state: JobState,
    /// Whose it is; must be here.
    pub client_id: Option<Uuid>,
    /// Whose photos; must be here.
    pub campaign_id: Option<Uuid>,
    /// For people.
    pub video_name: String,
    /// As the older system kept them.
    pub parameters: Value,
    /// What to make, should it be tried again.
    pub spec: JobSpec,
    /// What it was thought to cost.
    pub estimate: Estimate,
    /// 0 to 100.
    pub progress_percent: i16,
    /// Made without some of its scenes.
    pub partial: bool,
    /// Why it failed: stable word and sentence.
    pub error: Option<(&'static str, String)>,
    /// The film.
    pub video_digest: Option<String>,
    /// Its sound alone.
    pub music_digest: Option<String>,
    /// A frame of it.
    pub thumbnail_digest: Option<String>,
    /// When it was asked for.
    pub inserted_at: Option<DateTime<Utc>>,
    /// When it last changed.
    pub updated_at: Option<DateTime<Utc>>,
    /// When somebody said yes; only a job that could run here may have it, for it may be tried again.
    pub approved_at: Option<DateTime<Utc>>,
    /// When it ended; where that is not known, when it last changed.
    pub finished_at: Option<DateTime<Utc>>,
    /// In which order its shots are.
    pub scenes: Vec<OldScene>,
    /// How it did with its audience.
    pub metrics: Option<Metrics>,
}

/// A shot as it is to stand here.
#[derive(Debug, Clone)]
pub struct OldScene {
    /// The id by which its clip was addressed.
    pub id: Uuid,
    /// For people.
    pub title: String,
    /// For people.
    pub description: String,
    /// Room or place type.
    pub scene_type: Option<String>,
    /// What should be seen; never empty.
    pub prompt: String,
    /// What should be heard.
    pub music_prompt: String,
    /// Length in the video.
    pub duration_ms: i32,
    /// Photo of the first frame; nil where there was none.
    pub first_asset_id: Uuid,
    /// Photo of the last frame.
    pub last_asset_id: Option<Uuid>,
    /// `completed` exactly when there is a clip.
    pub state: SceneState,
    /// Its clip.
    pub clip_digest: Option<String>,
    /// Why there is none.
    pub error: Option<String>,
    /// When it was planned.
    pub inserted_at: Option<DateTime<Utc>>,
    /// When it last changed.
    pub updated_at: Option<DateTime<Utc>>,
}

/// How a video did.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Metrics {
    /// How often it was shown.
    pub views: Option<i64>,
    /// How often somebody followed it.
    pub clicks: Option<i64>,
    /// 0 to 1.
    pub ctr: Option<f64>,
    /// How often somebody bought.
    pub conversions: Option<i64>,
}

/// Which of these numbers jobs here have that did not come from `source`.
pub async fn taken(
    conn: &mut PgConnection,
    source: &str,
    table: &str,
    ids: &[i64],
) -> Result<Vec<i64>, DbError> {
    sqlx::query_scalar!(
        "SELECT j.id FROM jobs j WHERE j.id = ANY($3) AND NOT EXISTS (
             SELECT FROM imported_rows r WHERE r.source = $1 AND r.table_name = $2 AND r.target = 'jobs' AND r.target_id = j.id::text)
         ORDER BY j.id",
        source,
        table,
        ids,
    )
    .fetch_all(conn)
    .await
    .doing("look for jobs with the same numbers")
}

/// New jobs get numbers above this one.
pub async fn number_above(conn: &mut PgConnection, highest: i64) -> Result<(), DbError> {
    sqlx::query_scalar!("SELECT setval('jobs_id_seq', $1) FROM jobs_id_seq WHERE last_value < $1", highest)
        .fetch_optional(conn)
        .await
        .doing("keep the numbers of imported jobs free")?;
    Ok(())
}

/// Inserts the job under `id`, or under the next free number, with its scenes. `None` when the number is taken.
pub async fn job(
    conn: &mut PgConnection,
    id: Option<i64>,
    job: &OldJob,
    source: &str,
) -> Result<Option<i64>, DbError> {
    let (code, error) = match &job.error {
        Some((code, error)) => (Some(*code), Some(error.as_str())),
        None => (None, None),
    };
    let made = sqlx::query_scalar!(
        "INSERT INTO jobs (id, type, state, client_id, campaign_id, video_name, parameters, spec, estimate, estimate_micros,
                           progress_percent, stage, partial, error_code, error, music_digest, video_digest, thumbnail_digest,
                           inserted_at, updated_at, approved_at, finished_at)
         VALUES (COALESCE($1, nextval(pg_get_serial_sequence('jobs', 'id'))), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
                 $15, $16, $17, $18, COALESCE($19, $20, now()), COALESCE($20, $19, now()), $21,
                 CASE WHEN $3 IN ('completed', 'failed', 'canceled') THEN COALESCE($22, $20, $19, now()) END)
         ON CONFLICT (id) DO NOTHING RETURNING id",
        id,
        job.kind.as_str(),
        job.state.as_str(),
        job.client_id,
        job.campaign_id,
        job.video_name,
        job.parameters,
        json!(job.spec),
        json!(job.estimate),
        job.estimate.total_micros.0,
        job.progress_percent,
        if job.state == JobState::Pending { "storyboard_ready" } else { job.state.as_str() },
        job.partial,
        code,
        error,
        job.music_digest,
        job.video_digest,
        job.thumbnail_digest,
        job.inserted_at,
        job.updated_at,
        job.approved_at,
        job.finished_at,
    )
    .fetch_optional(&mut *conn)
    .await
    .doing("import a job")?;
    let Some(id) = made else { return Ok(None) };
    if let Some(campaign) = job.campaign_id {
        sqlx::query!("UPDATE campaigns SET videos_named = videos_named + 1 WHERE id = $1", campaign)
            .execute(&mut *conn)
            .await
            .doing("count an imported video")?;
    }
    for (index, scene) in job.scenes.iter().enumerate() {
        insert_scene(conn, id, index as i32, scene).await?;
    }
    if let Some(metrics) = job.metrics {
        insert_metrics(conn, id, metrics, job.updated_at).await?;
    }
    events::append(conn, id, "imported", &json!({"state": job.state, "source": source})).await?;
    Ok(Some(id))
}

/// Locks the campaigns whose videos are to be counted, in the order in which creations lock them: neither waits for the other for ever.
pub async fn lock_campaigns(conn: &mut PgConnection, ids: &[Uuid]) -> Result<(), DbError> {
    sqlx::query!("SELECT FROM campaigns WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE", ids)
        .execute(conn)
        .await
        .doing("lock the campaigns of imported jobs")?;
    Ok(())
}

async fn insert_scene(
    conn: &mut PgConnection,
    job: i64,
    index: i32,
    scene: &OldScene,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO scenes (id, job_id, index, title, description, scene_type, prompt, music_prompt, duration_ms, first_asset_id,
                             last_asset_id, state, clip_digest, error, inserted_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, COALESCE($15, $16, now()), COALESCE($16, $15, now()))",
        scene.id,
        job,
        index,
        scene.title,
        scene.description,
        scene.scene_type,
        scene.prompt,
        scene.music_prompt,
        scene.duration_ms,
        scene.first_asset_id,
        scene.last_asset_id,
        scene.state.as_str(),
        scene.clip_digest,
        scene.error,
        scene.inserted_at,
        scene.updated_at,
    )
    .execute(conn)
    .await
    .doing("import a scene")?;
    Ok(())
}

async fn insert_metrics(
    conn: &mut PgConnection,
    job: i64,
    metrics: Metrics,
    at: Option<DateTime<Utc>>,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO video_metrics (job_id, views, clicks, ctr, conversions, updated_at)
         VALUES ($1, $2, $3, $4, $5, COALESCE($6, now()))",
        job,
        metrics.views,
        metrics.clicks,
        metrics.ctr,
        metrics.conversions,
        at,
    )
    .execute(conn)
    .await
    .doing("import the metrics of a video")?;
    Ok(())
}
