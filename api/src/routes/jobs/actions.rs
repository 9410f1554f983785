//! POST /jobs/{id}/actions: the decisions of whoever looks at a storyboard or a video, under one address.

use axum::Json;
use axum::extract::State;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use spool_db::storyboard::{self, Opening};
use spool_db::{cancellation, events};
use spool_job::state::JobState;
use utoipa::ToSchema;
use uuid::Uuid;

use super::costs::Costs;
use super::words::JobStatus;
use super::{approve, cancel};
use crate::caller::Caller;
use crate::database::commit;
use crate::error::{ApiError, Code};
use crate::extract::casing::snake_keys;
use crate::extract::json::{ApiJson, from_object};
use crate::extract::path::ApiPath;
use crate::routes::scenes::regenerate::{RegenerateScene, RegeneratedScene, regenerate_scene};
use crate::state::AppState;
use crate::validation::Invalid;

const ACTIONS: &str = "approve, cancel, reject_storyboard or regenerate_scene";

/// What to do with the job.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"action": "regenerate_scene", "payload": {"scene_id": "0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8e", "dry_run": true}}))]
pub struct JobAction {
    /// `approve`, `cancel`, `reject_storyboard` or `regenerate_scene`.
    #[schema(
        required = true,
        nullable = false,
        pattern = "^(approve|cancel|reject_storyboard|regenerate_scene)$"
    )]
    pub action: Option<String>,
    /// For `reject_storyboard`: `feedback`. For `regenerate_scene`: `scene_id` and what `POST …/scenes/{scene_id}/regenerate` takes.
    #[schema(value_type = Option<Object>)]
    pub payload: Option<Value>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ActionDone {
    pub message: &'static str,
    pub job_id: i64,
    pub action: &'static str,
    /// Where the job stands now.
    #[schema(value_type = JobStatus)]
    pub status: &'static str,
    /// What it is thought to cost, line by line, and what is spent.
    pub costs: Costs,
    /// Only for `regenerate_scene`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regenerated: Option<RegeneratedScene>,
}

/// Does one of four things with a job: approves it, cancels it, rejects its storyboard (it ends `canceled` before anything was spent; an
/// edit of its scenes opens it again), or makes a new clip of one of its scenes.
#[utoipa::path(post, path = "/api/v3/jobs/{id}/actions", operation_id = "act_on_job", tag = "jobs",
    params(("id" = i64, Path)), request_body = JobAction, responses((status = 200, body = ActionDone),
    (status = 409, body = crate::error::Problem, description = "It has ended, or has not ended yet; see `current_status`")))]
pub async fn act(
    state: State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<i64>,
    ApiJson(body): ApiJson<JobAction>,
) -> Result<Json<ActionDone>, ApiError> {
    let payload = match body.payload {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(payload)) => snake_keys(payload),
        Some(_) => return Err(Invalid::only("payload", "must be an object")),
    };
    let done = |action, message, status, costs| ActionDone {
        message,
        job_id: id,
        action,
        status,
        costs,
        regenerated: None,
    };
    Ok(Json(match body.action.as_deref() {
        Some("approve") => {
            let Json(job) = approve::approve(state, caller, ApiPath(id), HeaderMap::new()).await?;
            done("approve", job.message, job.status, job.costs)
        }
        Some("cancel") => {
            let Json(job) = cancel::cancel(state, caller, ApiPath(id)).await?;
            done("cancel", job.message, job.status, job.costs)
        }
        Some("reject_storyboard") => {
            let costs = reject(&state, &caller, id, &payload).await?;
            done("reject_storyboard", "the storyboard is rejected", JobState::Canceled.as_str(), costs)
        }
        Some("regenerate_scene") => {
            let scene = scene_of(&payload)?;
            let wish: RegenerateScene = from_object(payload)?;
            let (regenerated, costs) = regenerate_scene(&state, &caller, id, scene, wish).await?;
            let action = done("regenerate_scene", regenerated.message, regenerated.purchase.status, costs);
            ActionDone { regenerated: Some(regenerated), ..action }
        }
        Some(_) => return Err(Invalid::only("action", format!("must be {ACTIONS}"))),
        None => return Err(Invalid::only("action", format!("can't be blank: it is {ACTIONS}"))),
    }))
}

fn scene_of(payload: &Map<String, Value>) -> Result<Uuid, ApiError> {
    let given = payload.get("scene_id").and_then(Value::as_str);
    let given = given.ok_or_else(|| Invalid::only("payload.scene_id", "can't be blank"))?;
    given.parse().map_err(|_| Invalid::only("payload.scene_id", "is not a UUID"))
}

async fn reject(
    state: &AppState,
    caller: &Caller,
    id: i64,
    payload: &Map<String, Value>,
) -> Result<Costs, ApiError> {
    let mut transaction = state.db.begin().await?;
    let at = match storyboard::open(&mut transaction, id, caller.client).await? {
        Opening::Unknown => return Err(ApiError::not_found("job", id).with("job_id", id)),
        Opening::Open(open) => open.state,
        Opening::Busy(at) => at,
    };
    if at != JobState::Pending {
        let why = format!("job {id} is {at}; only the storyboard of a pending job can be rejected");
        return Err(ApiError::unprocessable(Code::NotPending, why)
            .with("job_id", id)
            .with("current_status", at.as_str()));
    }
    let data = json!({"by": caller.key_id, "feedback": payload.get("feedback")});
    events::append(&mut transaction, id, "storyboard_rejected", &data).await?;
    cancellation::request(&mut transaction, id, caller.client, &caller.key_id).await?;
    let costs = Costs::reread(&mut transaction, id, caller).await?;
    commit(transaction).await?;
    tracing::info!(job_id = id, by = caller.key_id, "storyboard rejected");
    Ok(costs)
}
