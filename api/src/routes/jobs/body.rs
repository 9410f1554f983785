//! The JSON of jobs: snake_case, as in v3.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use spool_db::jobs::JobRow;
use spool_db::predictions::memo::Reused;
use spool_db::scenes::SceneRow;
use spool_job::state::JobState;
use utoipa::ToSchema;
use uuid::Uuid;

use super::costs::Costs;
use super::creation::Created;
use super::words::{JobStatus, JobType, SceneStatus};
use crate::caller::Caller;
use crate::links::Links;

/// One shot as planned.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoryboardScene {
    pub id: Uuid,
    /// Place in the video, from 0.
    pub index: i32,
    /// Raised by an edit or a regenerate.
    pub version: i32,
    pub title: String,
    pub description: String,
    /// Seconds in the video.
    pub duration: f64,
    pub transition: &'static str,
    pub scene_type: Option<String>,
    pub prompt: String,
    pub music_prompt: String,
    /// Photos of the first and the last frame.
    pub asset_ids: Vec<Uuid>,
    #[schema(value_type = SceneStatus)]
    pub status: String,
    /// Its clip was not bought for it: the earlier prediction that it comes from.
    pub reused_from: Option<Uuid>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct StoryboardJson {
    pub scenes: Vec<StoryboardScene>,
    /// Seconds; the sum of the scenes.
    pub total_duration: f64,
}

impl StoryboardJson {
    pub fn of(rows: Vec<SceneRow>) -> Self {
        let total_ms: i64 = rows.iter().map(|row| i64::from(row.duration_ms)).sum();
        let scene = |row: SceneRow| StoryboardScene {
            id: row.id,
            index: row.index,
            version: row.version,
            title: row.title,
            description: row.description,
            duration: f64::from(row.duration_ms) / 1000.0,
            transition: "cut",
            scene_type: row.scene_type,
            prompt: row.prompt,
            music_prompt: row.music_prompt,
            asset_ids: std::iter::once(row.first_asset_id).chain(row.last_asset_id).collect(),
            status: row.state,
            reused_from: row.reused_from,
        };
        Self { scenes: rows.into_iter().map(scene).collect(), total_duration: total_ms as f64 / 1000.0 }
    }
}

/// A job as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobJson {
    pub job_id: i64,
    /// `image_pairs` or `property_photos`.
    #[serde(rename = "type")]
    #[schema(rename = "type", value_type = JobType)]
    pub kind: String,
    /// `planning`, `pending` (waits for approval), `approved`, `processing`, `completed`, `failed` or `canceled`.
    #[schema(value_type = JobStatus)]
    pub status: &'static str,
    pub video_name: String,
    /// Dollars.
    pub estimated_cost: f64,
    pub costs: Costs,
    /// 0 to 100; never falls within a revision.
    pub progress_percentage: i16,
    /// One word for what is going on.
    pub current_stage: String,
    #[schema(value_type = Object)]
    pub parameters: Value,
    pub storyboard: StoryboardJson,
    pub campaign_id: Option<Uuid>,
    pub client_id: Option<Uuid>,
    /// Raised when a job that ended is opened again.
    pub revision: i32,
    /// Why it waits although it is approved: `budget`, `provider` or `paused`.
    pub parked: Option<String>,
    /// The same as a sentence: for a budget, how much is missing where.
    pub parked_reason: Option<String>,
    /// When it goes on by itself at the latest, if that is known: for a budget, when its period turns.
    pub parked_until: Option<DateTime<Utc>>,
    /// When it was called off; it is `canceled` once nothing of it is in flight.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// Made without some of its scenes.
    pub partial: bool,
    pub error_code: Option<String>,
    pub error: Option<String>,
    /// A signed link to the video, once it is completed.
    pub video_url: Option<String>,
    /// A signed link to a frame of it.
    pub thumbnail_url: Option<String>,
    pub inserted_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub approved_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
}

impl JobJson {
    pub fn of(job: JobRow, scenes: Vec<SceneRow>, costs: Costs, links: &Links, now: DateTime<Utc>) -> Self {
        let done = job.state == JobState::Completed;
        Self {
            costs,
            estimated_cost: job.estimate.total_micros.dollars(),
            video_url: (done && job.video_digest.is_some()).then(|| links.video(job.id, now)),
            thumbnail_url: (done && job.thumbnail_digest.is_some())
                .then(|| links.video_thumbnail(job.id, now)),
            job_id: job.id,
            kind: job.kind,
            status: job.state.as_str(),
            video_name: job.video_name,
            progress_percentage: job.progress_percent,
            current_stage: job.stage,
            parameters: job.parameters,
            storyboard: StoryboardJson::of(scenes),
            campaign_id: job.campaign_id,
            client_id: job.client_id,
            revision: job.revision,
            parked: job.parked,
            parked_reason: job.parked_why,
            parked_until: job.parked_until,
            cancel_requested_at: None,
            partial: job.partial,
            error_code: job.error_code,
            error: job.error,
            inserted_at: job.inserted_at,
            updated_at: job.updated_at,
            approved_at: job.approved_at,
            finished_at: job.finished_at,
        }
    }
}

/// What a job's own row does not say.
#[derive(Debug)]
pub struct Beside {
    /// What it was spared by earlier purchases.
    pub reused: Reused,
    /// When it was called off.
    pub cancel_requested_at: Option<DateTime<Utc>>,
}

impl JobJson {
    /// With what stands beside the job's row.
    #[must_use]
    pub fn with(mut self, beside: Beside) -> Self {
        self.costs.reused_outputs = beside.reused.outputs;
        self.costs.reused_micros = beside.reused.saved.0;
        self.cancel_requested_at = beside.cancel_requested_at;
        self
    }
}

/// What a creation from photos answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedJob {
    pub job_id: i64,
    /// `pending`, or `approved` when `auto_approve` was asked for.
    #[schema(value_type = JobStatus)]
    pub status: &'static str,
    #[serde(rename = "type")]
    #[schema(rename = "type", value_type = JobType)]
    pub kind: String,
    pub scene_count: usize,
    pub message: &'static str,
    pub video_name: String,
    /// Dollars.
    pub estimated_cost: f64,
    pub costs: Costs,
    pub storyboard_ready: bool,
    pub storyboard: StoryboardJson,
    pub campaign_id: Option<Uuid>,
    pub client_id: Option<Uuid>,
    /// Seconds of each shot.
    pub clip_duration: f64,
    /// Pairs that were asked for; only for image pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_pairs: Option<usize>,
    /// Types that were asked for; only for property photos.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property_types: Option<Vec<String>>,
    /// Images of the campaign that the storyboard was made from.
    pub total_assets: usize,
}

impl CreatedJob {
    /// Everything but what only one of the routes says.
    pub fn of(created: Created, caller: &Caller) -> Self {
        let Created { job, scenes, budgets, total_assets } = created;
        Self {
            costs: Costs::of_job(&job, budgets, caller),
            job_id: job.id,
            status: job.state.as_str(),
            scene_count: scenes.len(),
            message: match job.state {
                JobState::Pending => "the storyboard is ready; approve the job to start rendering",
                _ => "the job is approved and waits for a worker",
            },
            estimated_cost: job.estimate.total_micros.dollars(),
            kind: job.kind,
            video_name: job.video_name,
            storyboard_ready: true,
            storyboard: StoryboardJson::of(scenes),
            campaign_id: job.campaign_id,
            client_id: job.client_id,
            clip_duration: 0.0,
            num_pairs: None,
            property_types: None,
            total_assets,
        }
    }
}
