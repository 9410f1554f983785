//! POST /jobs/from-image-pairs.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use spool_job::planner;
use spool_job::spec::JobKind;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::CreatedJob;
use super::creation::{Creation, no_assets, required_campaign};
use super::request::{FilmWishes, count, parameters, with_parameters};
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::json::ApiJson;
use crate::state::AppState;
use crate::validation::Invalid;

/// Seconds of a shot unless told otherwise.
const USUAL_CLIP: f64 = 5.0;
const USUAL_PAIRS: u32 = 10;

/// A video of clips that each go from one photo to another.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"campaign_id": "0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8e", "num_pairs": 4, "clip_duration": 4,
    "video_model": "google/veo-3.1-fast"}))]
pub struct FromImagePairs {
    #[schema(required = true, nullable = false)]
    pub campaign_id: Option<Uuid>,
    /// Not needed; the campaign knows its client. When given it must be that one.
    pub client_id: Option<Uuid>,
    /// How many pairs, 1 to 50, default 10; fewer when the photos do not suffice.
    pub num_pairs: Option<i64>,
    #[serde(flatten)]
    pub film: FilmWishes,
    /// The wishes above may also stand in here; everything else is kept as it is.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
}

/// Creates a job from pairs of a campaign's photos. Nothing is spent before it is approved.
#[utoipa::path(post, path = "/api/v3/jobs/from-image-pairs", operation_id = "create_job_from_image_pairs", tag = "jobs",
    request_body = FromImagePairs, responses((status = 201, body = CreatedJob)))]
pub async fn create(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(body): ApiJson<Map<String, Value>>,
) -> Result<Response, ApiError> {
    let (creation, num_pairs) = parse(body, &state, &caller)?;
    let clip_ms = creation.film.clip_ms;
    let reader = caller.clone();
    let answer = move |created| CreatedJob {
        num_pairs: Some(num_pairs),
        clip_duration: f64::from(clip_ms) / 1000.0,
        ..CreatedJob::of(created, &reader)
    };
    creation.run(&state, &caller, answer).await
}

/// What a body asks for, and how many pairs.
pub fn parse(
    body: Map<String, Value>,
    state: &AppState,
    caller: &Caller,
) -> Result<(Creation, usize), ApiError> {
    let body: FromImagePairs = with_parameters(body)?;
    let campaign_id = required_campaign(body.campaign_id)?;
    caller.claim_client(body.client_id)?;
    let mut invalid = Invalid::default();
    let num_pairs = count("num_pairs", body.num_pairs, USUAL_PAIRS, &mut invalid);
    let mut parameters = parameters(body.parameters, &mut invalid);
    let film = body.film.check(USUAL_CLIP, &state.defaults, &mut invalid);
    invalid.finish()?;
    parameters.insert("num_pairs".to_owned(), json!(num_pairs));
    let creation = Creation {
        kind: JobKind::ImagePairs,
        campaign_id,
        film,
        parameters,
        no_assets,
        plan: Box::new(move |photos, direction| planner::image_pairs(photos, num_pairs, direction)),
    };
    Ok((creation, num_pairs))
}
