//! The JSON of scenes: snake_case, as in v3.

use chrono::{DateTime, Utc};
use serde::Serialize;
use spool_db::scenes::SceneRow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::links::Links;
use crate::routes::jobs::words::{JobStatus, SceneStatus};

#[derive(Debug, Serialize, ToSchema)]
pub struct SceneJson {
    pub id: Uuid,
    pub job_id: i64,
    /// `pending`, `processing`, `completed` or `failed`.
    #[schema(value_type = SceneStatus)]
    pub status: String,
    /// The provider's id of its newest prediction.
    pub provider_id: Option<String>,
    /// Its clip is stored.
    pub has_video: bool,
    /// Bytes of the clip.
    pub video_blob_size: Option<i64>,
    /// A signed link to the clip.
    pub video_url: Option<String>,
    /// A signed link to a frame of it.
    pub thumbnail_url: Option<String>,
    /// Place in the video, from 0.
    pub index: i32,
    /// Raised by an edit or a regenerate.
    pub version: i32,
    pub title: String,
    pub description: String,
    pub scene_type: Option<String>,
    pub prompt: String,
    /// Seconds in the video.
    pub duration: f64,
    /// Photos of the first and the last frame.
    pub asset_ids: Vec<Uuid>,
    /// Its clip was not bought for it: the earlier prediction that it comes from.
    pub reused_from: Option<Uuid>,
    pub error: Option<String>,
    pub inserted_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<SceneRow> for SceneJson {
    fn from(row: SceneRow) -> Self {
        Self {
            id: row.id,
            job_id: row.job_id,
            status: row.state,
            provider_id: row.provider_id,
            has_video: row.clip_digest.is_some(),
            video_blob_size: row.clip_bytes,
            video_url: None,
            thumbnail_url: None,
            index: row.index,
            version: row.version,
            title: row.title,
            description: row.description,
            scene_type: row.scene_type,
            prompt: row.prompt,
            duration: f64::from(row.duration_ms) / 1000.0,
            asset_ids: std::iter::once(row.first_asset_id).chain(row.last_asset_id).collect(),
            reused_from: row.reused_from,
            error: row.error,
            inserted_at: row.inserted_at,
            updated_at: row.updated_at,
        }
    }
}

impl SceneJson {
    /// With links to its clip, where there is one.
    #[must_use]
    pub fn linked(mut self, links: &Links, now: DateTime<Utc>) -> Self {
        self.video_url = self.has_video.then(|| links.clip(self.job_id, self.id, now));
        self.thumbnail_url = self.has_video.then(|| links.clip_thumbnail(self.job_id, self.id, now));
        self
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SceneList {
    pub job_id: i64,
    pub total_scenes: usize,
    pub completed_scenes: usize,
    /// Of the job.
    pub progress_percentage: i16,
    pub scenes: Vec<SceneJson>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SceneData {
    pub scene: SceneJson,
    pub job_id: i64,
    #[schema(value_type = JobStatus)]
    pub job_status: &'static str,
}
