//! GET /jobs/{id}/scenes/{scene_id}.

use axum::Json;
use axum::extract::State;
use spool_db::{jobs, scenes};
use uuid::Uuid;

use super::body::{SceneData, SceneJson};
use crate::caller::Caller;
use crate::error::{ApiError, Code};
use crate::extract::path::ApiPath;
use crate::state::AppState;

/// Shows one scene of a job.
#[utoipa::path(get, path = "/api/v3/jobs/{id}/scenes/{scene_id}", operation_id = "show_scene", tag = "scenes",
    params(("id" = i64, Path), ("scene_id" = Uuid, Path)), responses((status = 200, body = SceneData),
    (status = 422, body = crate::error::Problem, description = "The scene belongs to another job")))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath((id, scene_id)): ApiPath<(i64, Uuid)>,
) -> Result<Json<SceneData>, ApiError> {
    let mut conn = state.db.read().await?;
    let job = jobs::show(&mut conn, id, caller.client)
        .await?
        .ok_or_else(|| ApiError::not_found("job", id).with("job_id", id))?;
    let unknown = || ApiError::not_found("scene", scene_id).with("job_id", id);
    let scene = scenes::get(&mut conn, scene_id).await?.ok_or_else(unknown)?;
    if scene.job_id != id {
        // To a key that may not see the other job, its scene does not exist.
        jobs::version(&mut conn, scene.job_id, caller.client).await?.ok_or_else(unknown)?;
        let why = format!("scene {scene_id} belongs to another job");
        return Err(ApiError::unprocessable(Code::WrongJob, why).with("job_id", id));
    }
    let scene = SceneJson::from(scene).linked(&state.links, state.clock.now());
    Ok(Json(SceneData { scene, job_id: id, job_status: job.state.as_str() }))
}
