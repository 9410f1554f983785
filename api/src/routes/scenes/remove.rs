//! DELETE /jobs/{id}/scenes/{scene_id}.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::json;
use spool_db::{scenes, storyboard};
use utoipa::ToSchema;
use uuid::Uuid;

use super::edit;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::{ApiError, Code};
use crate::extract::path::ApiPath;
use crate::routes::jobs::words::JobStatus;
use crate::state::AppState;

#[derive(Debug, Serialize, ToSchema)]
pub struct RemovedScene {
    pub message: &'static str,
    pub scene_id: Uuid,
    pub job_id: i64,
    /// Always `pending`: the job has to be approved (again).
    #[schema(value_type = JobStatus)]
    pub job_status: &'static str,
    /// Of what is left, in dollars.
    pub estimated_cost: f64,
}

/// Takes a scene out of a storyboard; those after it move up. Not while the job is approved or runs, and not the last one. After the end
/// of the job it opens it as a new revision that must be approved again.
#[utoipa::path(delete, path = "/api/v3/jobs/{id}/scenes/{scene_id}", operation_id = "delete_scene", tag = "scenes",
    params(("id" = i64, Path), ("scene_id" = Uuid, Path)), responses((status = 200, body = RemovedScene),
    (status = 409, body = crate::error::Problem, description = "The tasks of the job are still ending"),
    (status = 422, body = crate::error::Problem, description = "The job runs (see `current_status`), or it is its last scene, or of another job")))]
pub async fn remove(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath((id, scene_id)): ApiPath<(i64, Uuid)>,
) -> Result<Json<RemovedScene>, ApiError> {
    let mut transaction = state.db.begin().await?;
    let open = edit::open(&mut transaction, id, &caller).await?;
    let scene = edit::scene_of(&mut transaction, id, scene_id, &caller).await?;
    if scenes::list(&mut transaction, id).await?.len() == 1 {
        let why = format!("scene {scene_id} is the last one of job {id}: delete the job instead");
        return Err(ApiError::unprocessable(Code::LastScene, why).with("job_id", id));
    }
    edit::to_pending(&mut transaction, id, &open).await?;
    storyboard::remove(&mut transaction, id, scene_id).await?;
    let data = json!({"scene_id": scene_id, "index": scene.index, "by": caller.key_id});
    let estimate = edit::changed(&mut transaction, id, &open.spec, &state, "scene_deleted", &data).await?;
    commit(transaction).await?;
    Ok(Json(RemovedScene {
        message: "the scene is deleted",
        scene_id,
        job_id: id,
        job_status: "pending",
        estimated_cost: estimate.total_micros.dollars(),
    }))
}
