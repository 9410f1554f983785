//! POST /campaigns/{id}/create-job.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use spool_job::planner::{self, DEFAULT_PROPERTY_TYPES};
use spool_job::spec::JobKind;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::{ApiError, Code};
use crate::extract::json::OptionalJson;
use crate::extract::path::ApiPath;
use crate::routes::jobs::costs::Costs;
use crate::routes::jobs::creation::{Created, Creation};
use crate::routes::jobs::request::{FilmWishes, count, parameters, with_parameters};
use crate::routes::jobs::words::{JobStatus, JobType};
use crate::state::AppState;
use crate::validation::Invalid;

const USUAL_SCENES: u32 = 4;
/// Seconds of a shot unless told otherwise.
const USUAL_CLIP: f64 = 4.0;
/// Longest video that may be asked for, in seconds.
const LONGEST_VIDEO: f64 = 3600.0;

/// All of it may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"num_scenes": 4, "clip_duration": 4, "style": "modern", "music_genre": "upbeat"}))]
pub struct CreateCampaignJob {
    /// How many scenes, 1 to 50, default 4; fewer when the photos do not suffice.
    pub num_scenes: Option<i64>,
    /// Longest the video may get, in seconds: scenes that do not fit are left out.
    pub duration_seconds: Option<f64>,
    #[serde(flatten)]
    pub film: FilmWishes,
    /// The wishes above may also stand in here; everything else is kept as it is.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignJob {
    pub data: CampaignJobData,
    pub links: CampaignJobLinks,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignJobData {
    pub id: i64,
    #[serde(rename = "type")]
    #[schema(rename = "type", value_type = JobType)]
    pub kind: String,
    #[schema(value_type = JobStatus)]
    pub status: &'static str,
    pub campaign_id: Option<Uuid>,
    pub asset_count: usize,
    pub scene_count: usize,
    #[schema(value_type = Object)]
    pub parameters: Value,
    /// Dollars.
    pub estimated_cost: f64,
    pub costs: Costs,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignJobLinks {
    #[serde(rename = "self")]
    #[schema(rename = "self")]
    pub this: String,
    pub approve: String,
    pub status: String,
}

/// Creates a job from a campaign's photos: property scenes first, then what is left in pairs.
#[utoipa::path(post, path = "/api/v3/campaigns/{id}/create-job", operation_id = "create_campaign_job", tag = "campaigns",
    params(("id" = Uuid, Path)), request_body = Option<CreateCampaignJob>, responses((status = 201, body = CampaignJob)))]
pub async fn create_job(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(campaign_id): ApiPath<Uuid>,
    OptionalJson(body): OptionalJson<Map<String, Value>>,
) -> Result<Response, ApiError> {
    let reader = caller.clone();
    let answer = move |created| CampaignJob::of(created, &reader);
    parse(body, campaign_id, &state)?.run(&state, &caller, answer).await
}

impl CampaignJob {
    fn of(created: Created, reader: &Caller) -> Self {
        let job = created.job;
        let this = format!("/api/v3/jobs/{}", job.id);
        Self {
            links: CampaignJobLinks { approve: format!("{this}/approve"), status: this.clone(), this },
            data: CampaignJobData {
                costs: Costs::of_job(&job, created.budgets, reader),
                id: job.id,
                kind: job.kind,
                status: job.state.as_str(),
                campaign_id: job.campaign_id,
                asset_count: created.total_assets,
                scene_count: created.scenes.len(),
                parameters: job.parameters,
                estimated_cost: job.estimate.total_micros.dollars(),
            },
        }
    }
}

/// What a body asks for.
pub fn parse(body: Map<String, Value>, campaign_id: Uuid, state: &AppState) -> Result<Creation, ApiError> {
    let body: CreateCampaignJob = with_parameters(body)?;
    let mut invalid = Invalid::default();
    let mut num_scenes = count("num_scenes", body.num_scenes, USUAL_SCENES, &mut invalid);
    let mut parameters = parameters(body.parameters, &mut invalid);
    let film = body.film.check(USUAL_CLIP, &state.defaults, &mut invalid);
    if let Some(longest) = body.duration_seconds {
        if (1.0..=LONGEST_VIDEO).contains(&longest) {
            let fit = (longest * 1000.0 / f64::from(film.clip_ms)).floor() as usize;
            num_scenes = num_scenes.min(fit.max(1));
            parameters.insert("duration_seconds".to_owned(), json!(longest));
        } else {
            invalid.add("duration_seconds", format!("must be between 1 and {LONGEST_VIDEO}"));
        }
    }
    invalid.finish()?;
    parameters.insert("num_scenes".to_owned(), json!(num_scenes));

    let types: Vec<String> = DEFAULT_PROPERTY_TYPES.iter().map(|name| (*name).to_owned()).collect();
    Ok(Creation {
        kind: JobKind::PropertyPhotos,
        campaign_id,
        film,
        parameters,
        no_assets,
        plan: Box::new(move |photos, direction| planner::campaign(photos, &types, num_scenes, direction)),
    })
}

/// 422 on this route, as in v3.
fn no_assets() -> ApiError {
    ApiError::unprocessable(Code::NoAssets, "the campaign has no assets: upload photos first")
}
