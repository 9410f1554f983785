//! GET /generated-videos, and /ai-videos as it was called before: finished videos, newest first.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use spool_db::job_list::{self, JobFilter, ListedJob};
use spool_db::scenes::{self, SceneRow};
use spool_job::estimate::Estimate;
use spool_job::state::JobState;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::{ApiError, Code};
use crate::extract::query::ApiQuery;
use crate::routes::jobs::body::StoryboardJson;
use crate::routes::jobs::costs::Costs;
use crate::routes::jobs::words::{JobStatus, JobType};
use crate::state::AppState;

const USUAL: i64 = 25;
const USUAL_OLD: i64 = 20;
const MOST: i64 = 100;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct GalleryQuery {
    /// How many, 1 to 100.
    pub limit: Option<i64>,
    /// How many to leave out at the start.
    pub offset: Option<i64>,
    /// Only that of this job.
    pub job_id: Option<i64>,
    pub campaign_id: Option<Uuid>,
    pub client_id: Option<Uuid>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OldGalleryQuery {
    /// How many, 1 to 100.
    pub limit: Option<i64>,
    /// How many to leave out at the start.
    pub offset: Option<i64>,
    /// `completed` when left out; another state of jobs, or `all`.
    pub status: Option<String>,
}

/// A job with its video.
#[derive(Debug, Serialize, ToSchema)]
pub struct VideoJson {
    pub job_id: i64,
    pub video_name: String,
    #[schema(value_type = JobStatus)]
    pub status: String,
    /// `image_pairs` or `property_photos`.
    #[serde(rename = "type")]
    #[schema(rename = "type", value_type = JobType)]
    pub kind: String,
    /// Dollars.
    pub estimated_cost: f64,
    pub costs: Costs,
    pub campaign_id: Option<Uuid>,
    pub client_id: Option<Uuid>,
    pub inserted_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    /// Made without some of its scenes.
    pub partial: bool,
    pub storyboard: StoryboardJson,
    /// Seconds of all scenes.
    pub total_duration: f64,
    /// A signed link.
    pub video_url: Option<String>,
    /// A signed link to a frame of it.
    pub thumbnail_url: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct VideoList {
    pub data: Vec<VideoJson>,
    pub meta: VideoMeta,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct VideoMeta {
    /// Videos of this page.
    pub count: usize,
    /// Videos on all pages.
    pub total: i64,
    pub limit: i64,
    pub offset: i64,
}

/// Lists completed jobs with their videos, newest first.
#[utoipa::path(get, path = "/api/v3/generated-videos", operation_id = "list_generated_videos", tag = "videos",
    params(GalleryQuery), responses((status = 200, body = VideoList)))]
pub async fn generated(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<GalleryQuery>,
) -> Result<Json<VideoList>, ApiError> {
    let filter = JobFilter {
        owner: caller.client,
        client: query.client_id,
        campaign: query.campaign_id,
        job: query.job_id,
        states: vec![JobState::Completed.as_str()],
        ..JobFilter::default()
    };
    page(&state, &caller, &filter, query.limit.unwrap_or(USUAL), query.offset.unwrap_or(0)).await
}

/// The gallery under its older name: 20 videos a page, and on request jobs in other states.
#[utoipa::path(get, path = "/api/v3/ai-videos", operation_id = "list_ai_videos", tag = "videos",
    params(OldGalleryQuery), responses((status = 200, body = VideoList)))]
pub async fn ai_videos(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<OldGalleryQuery>,
) -> Result<Json<VideoList>, ApiError> {
    let states = match query.status.as_deref() {
        None => vec![JobState::Completed.as_str()],
        Some("all") => Vec::new(),
        Some(word) => {
            let state: JobState = word.parse().map_err(|_| {
                let why = "status must be all or a state of jobs, such as completed";
                ApiError::bad_request(Code::InvalidQuery, why)
            })?;
            vec![state.as_str()]
        }
    };
    let filter = JobFilter { owner: caller.client, states, ..JobFilter::default() };
    page(&state, &caller, &filter, query.limit.unwrap_or(USUAL_OLD), query.offset.unwrap_or(0)).await
}

async fn page(
    state: &AppState,
    caller: &Caller,
    filter: &JobFilter,
    limit: i64,
    offset: i64,
) -> Result<Json<VideoList>, ApiError> {
    let (limit, offset) = (limit.clamp(1, MOST), offset.max(0));
    let mut conn = state.db.read().await?;
    let jobs = job_list::page(&mut conn, filter, limit, offset).await?;
    let total = job_list::count(&mut conn, filter).await?;
    let ids: Vec<i64> = jobs.iter().map(|job| job.id).collect();
    let mut boards: HashMap<i64, Vec<SceneRow>> = HashMap::with_capacity(ids.len());
    for scene in scenes::list_of(&mut conn, &ids).await? {
        boards.entry(scene.job_id).or_default().push(scene);
    }
    drop(conn);
    let data: Result<Vec<VideoJson>, ApiError> = jobs
        .into_iter()
        .map(|job| {
            let board = boards.remove(&job.id).unwrap_or_default();
            video(job, board, state, caller)
        })
        .collect();
    let data = data?;
    Ok(Json(VideoList { meta: VideoMeta { count: data.len(), total, limit, offset }, data }))
}

fn video(
    job: ListedJob,
    board: Vec<SceneRow>,
    state: &AppState,
    caller: &Caller,
) -> Result<VideoJson, ApiError> {
    let now = state.clock.now();
    let done = job.state == JobState::Completed.as_str();
    let money = job.money();
    let estimate: Estimate = serde_json::from_value(job.estimate).map_err(ApiError::internal)?;
    let costs = Costs::of(&estimate, money, Vec::new(), caller);
    let storyboard = StoryboardJson::of(board);
    Ok(VideoJson {
        video_url: (done && job.has_video).then(|| state.links.video(job.id, now)),
        thumbnail_url: (done && job.has_thumbnail).then(|| state.links.video_thumbnail(job.id, now)),
        estimated_cost: costs.estimated,
        costs,
        total_duration: storyboard.total_duration,
        storyboard,
        job_id: job.id,
        video_name: job.video_name,
        status: job.state,
        kind: job.kind,
        campaign_id: job.campaign_id,
        client_id: job.client_id,
        inserted_at: job.inserted_at,
        updated_at: job.updated_at,
        finished_at: job.finished_at,
        partial: job.partial,
    })
}
