//! POST /jobs/dry-run: what a job would be and cost; nothing is written.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use spool_db::budgets;
use spool_db::ledger::JobMoney;
use spool_job::spec::JobKind;
use utoipa::ToSchema;
use uuid::Uuid;

use super::costs::Costs;
use super::creation::{Creation, required_campaign};
use super::request::FilmWishes;
use super::{from_image_pairs, from_property_photos};
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::json::ApiJson;
use crate::routes::campaigns::create_job;
use crate::state::AppState;
use crate::validation::Invalid;

/// The body of any of the routes that create jobs. For that of `/campaigns/{id}/create-job` name the campaign beside it.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"campaign_id": "0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8e", "num_pairs": 4, "clip_duration": 4}))]
pub struct DryRunJob {
    /// Which route: `image_pairs`, `property_photos` or `campaign`. Left out: by the fields that only one of them has, else
    /// `image_pairs`.
    #[serde(rename = "type")]
    #[schema(rename = "type", pattern = "^(image_pairs|property_photos|campaign)$")]
    pub kind: Option<String>,
    #[schema(required = true, nullable = false)]
    pub campaign_id: Option<Uuid>,
    /// Not needed; the campaign knows its client. When given it must be that one.
    pub client_id: Option<Uuid>,
    /// Only for `image_pairs`.
    pub num_pairs: Option<i64>,
    /// Only for `property_photos`.
    pub property_types: Option<Vec<String>>,
    /// Only for `campaign`.
    pub num_scenes: Option<i64>,
    /// Only for `campaign`.
    pub duration_seconds: Option<f64>,
    #[serde(flatten)]
    pub film: FilmWishes,
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
}

/// A job as it would be.
#[derive(Debug, Serialize, ToSchema)]
pub struct DryRun {
    /// Always true: nothing was created.
    pub dry_run: bool,
    /// `image_pairs` or `property_photos`.
    #[serde(rename = "type")]
    #[schema(rename = "type")]
    pub kind: &'static str,
    pub campaign_id: Uuid,
    pub client_id: Uuid,
    pub scene_count: usize,
    /// Seconds of the video.
    pub total_duration: f64,
    /// Images of the campaign that the storyboard would be made from.
    pub total_assets: usize,
    /// Dollars.
    pub estimated_cost: f64,
    pub costs: Costs,
    /// Whether it fits in all budgets now; what does not fit waits, it does not fail.
    pub fits: bool,
    /// Why nothing is bought at all, while somebody has stopped all spending.
    pub spending_stopped: Option<String>,
}

/// Says what a job would be and cost, line by line, and whether it would fit in the budgets. Nothing is written.
#[utoipa::path(post, path = "/api/v3/jobs/dry-run", operation_id = "dry_run_job", tag = "jobs",
    request_body = DryRunJob, responses((status = 200, body = DryRun)))]
pub async fn dry_run(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(body): ApiJson<Map<String, Value>>,
) -> Result<Json<DryRun>, ApiError> {
    let creation = parse(body, &state, &caller)?;
    let draft = creation.draft(&state, &caller).await?;
    let mut conn = state.db.read().await?;
    let (client, campaign) = (Some(draft.client_id), Some(creation.campaign_id));
    let budgets = budgets::applying(&mut conn, client, campaign, None).await?;
    let stop = budgets::stopped(&mut conn).await?;
    let costs = Costs::of(&draft.estimate, JobMoney::default(), budgets, &caller);
    Ok(Json(DryRun {
        dry_run: true,
        kind: creation.kind.as_str(),
        campaign_id: creation.campaign_id,
        client_id: draft.client_id,
        scene_count: draft.storyboard.scenes.len(),
        total_duration: draft.storyboard.total_ms() as f64 / 1000.0,
        total_assets: draft.total_assets,
        estimated_cost: draft.estimate.total_micros.dollars(),
        fits: costs.budgets.iter().all(|budget| budget.fits),
        costs,
        spending_stopped: stop.map(|stop| stop.why),
    }))
}

fn parse(mut body: Map<String, Value>, state: &AppState, caller: &Caller) -> Result<Creation, ApiError> {
    let named = body.remove("type").filter(|kind| !kind.is_null());
    let has = |field: &str| body.get(field).is_some_and(|value| !value.is_null());
    let kind = match named.as_ref().map(Value::as_str) {
        Some(Some(kind)) => kind,
        Some(None) => return Err(unknown_kind()),
        None if has("property_types") => JobKind::PropertyPhotos.as_str(),
        None if has("num_scenes") || has("duration_seconds") => "campaign",
        None => JobKind::ImagePairs.as_str(),
    };
    match kind {
        "image_pairs" => from_image_pairs::parse(body, state, caller).map(|(creation, _)| creation),
        "property_photos" => from_property_photos::parse(body, state, caller).map(|(creation, _)| creation),
        "campaign" => {
            let campaign = body.remove("campaign_id").filter(|id| !id.is_null());
            let campaign = campaign.map(|id| {
                let id = id.as_str().and_then(|id| id.parse::<Uuid>().ok());
                id.ok_or_else(|| Invalid::only("campaign_id", "is not a UUID"))
            });
            create_job::parse(body, required_campaign(campaign.transpose()?)?, state)
        }
        _ => Err(unknown_kind()),
    }
}

fn unknown_kind() -> ApiError {
    Invalid::only("type", "must be image_pairs, property_photos or campaign")
}
