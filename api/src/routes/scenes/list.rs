//! GET /jobs/{id}/scenes.

use axum::Json;
use axum::extract::State;
use spool_db::{jobs, scenes};

use super::body::{SceneJson, SceneList};
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::state::AppState;

/// Lists the scenes of a job in their order.
#[utoipa::path(get, path = "/api/v3/jobs/{id}/scenes", operation_id = "list_scenes", tag = "scenes",
    params(("id" = i64, Path)), responses((status = 200, body = SceneList)))]
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<i64>,
) -> Result<Json<SceneList>, ApiError> {
    let mut conn = state.db.read().await?;
    let job = jobs::show(&mut conn, id, caller.client)
        .await?
        .ok_or_else(|| ApiError::not_found("job", id).with("job_id", id))?;
    let now = state.clock.now();
    let linked = |row| SceneJson::from(row).linked(&state.links, now);
    let scenes: Vec<SceneJson> = scenes::list(&mut conn, id).await?.into_iter().map(linked).collect();
    Ok(Json(SceneList {
        job_id: id,
        total_scenes: scenes.len(),
        completed_scenes: scenes.iter().filter(|scene| scene.status == "completed").count(),
        progress_percentage: job.progress_percent,
        scenes,
    }))
}
