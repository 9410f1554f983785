//! POST /jobs/{id}/reorder.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use spool_db::scenes::{self, SceneRow};
use spool_db::{jobs, storyboard};
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::SceneJson;
use super::edit;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::json::ApiJson;
use crate::extract::path::ApiPath;
use crate::routes::jobs::words::JobStatus;
use crate::state::AppState;
use crate::validation::Invalid;

/// A scene's id, or its number, counted from 1. Only a description: `order` reads it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum SceneName {
    Id(Uuid),
    Number(i64),
}

/// All scenes of the job in their new order.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"scene_order": [2, 1, 3]}))]
pub struct ReorderScenes {
    /// Each scene once: by its id, or by its number, counted from 1.
    #[schema(required = true, value_type = Vec<SceneName>)]
    pub scene_order: Option<Vec<Value>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ReorderedScenes {
    pub message: &'static str,
    pub job_id: i64,
    /// `pending` where the job has to be approved (again).
    #[schema(value_type = JobStatus)]
    pub job_status: &'static str,
    pub scenes: Vec<SceneJson>,
}

/// Puts the scenes of a job into another order: before its approval, or after its end; then it is a new revision that must be approved
/// again, for which nothing is bought anew.
#[utoipa::path(post, path = "/api/v3/jobs/{id}/reorder", operation_id = "reorder_scenes", tag = "scenes",
    params(("id" = i64, Path)), request_body = ReorderScenes, responses((status = 200, body = ReorderedScenes),
    (status = 409, body = crate::error::Problem, description = "The tasks of the job are still ending")))]
pub async fn reorder(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<i64>,
    ApiJson(body): ApiJson<ReorderScenes>,
) -> Result<Json<ReorderedScenes>, ApiError> {
    let mut transaction = state.db.begin().await?;
    let open = edit::open(&mut transaction, id, &caller).await?;
    let board = scenes::list(&mut transaction, id).await?;
    let order = order(body.scene_order.unwrap_or_default(), &board)?;
    if !order.iter().eq(board.iter().map(|scene| &scene.id)) {
        edit::to_pending(&mut transaction, id, &open).await?;
        storyboard::reorder(&mut transaction, id, &order).await?;
        let data = json!({"scene_order": order, "by": caller.key_id});
        edit::changed(&mut transaction, id, &open.spec, &state, "scenes_reordered", &data).await?;
    }
    let scenes = scenes::list(&mut transaction, id).await?.into_iter().map(Into::into).collect();
    let unknown = || ApiError::not_found("job", id).with("job_id", id);
    let job = jobs::version(&mut transaction, id, None).await?.ok_or_else(unknown)?;
    commit(transaction).await?;
    let message = "the scenes are in this order";
    Ok(Json(ReorderedScenes { message, job_id: id, job_status: job.state.as_str(), scenes }))
}

/// The ids in their new order: a permutation of what there is.
fn order(given: Vec<Value>, board: &[SceneRow]) -> Result<Vec<Uuid>, ApiError> {
    let known = |one: &Value| match one {
        Value::Number(number) => {
            let number = number.as_i64()?;
            board.iter().find(|scene| i64::from(scene.index) + 1 == number).map(|scene| scene.id)
        }
        Value::String(id) => id.parse().ok().filter(|id| board.iter().any(|scene| scene.id == *id)),
        _ => None,
    };
    let order: Option<Vec<Uuid>> = given.iter().map(known).collect();
    let is_permutation = |order: &Vec<Uuid>| {
        let mut once = order.clone();
        once.sort_unstable();
        once.dedup();
        once.len() == order.len() && order.len() == board.len()
    };
    order.filter(is_permutation).ok_or_else(|| {
        let why = format!("must name each of the {} scenes once, by id or by number from 1", board.len());
        Invalid::only("scene_order", why)
    })
}
