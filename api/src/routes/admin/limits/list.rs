//! GET /admin/limits.

use axum::Json;
use axum::extract::State;
use spool_db::limits::standing;

use super::body::{LimitJson, LimitList, LimitMeta};
use crate::error::ApiError;
use crate::state::AppState;

/// Lists the limits of all providers, with what is in flight and what waits.
#[utoipa::path(get, path = "/api/v3/admin/limits", operation_id = "list_limits", tag = "admin",
    responses((status = 200, body = LimitList)))]
pub async fn list(State(state): State<AppState>) -> Result<Json<LimitList>, ApiError> {
    let mut conn = state.db.read().await?;
    let data: Vec<LimitJson> = standing::list(&mut conn).await?.into_iter().map(LimitJson::from).collect();
    Ok(Json(LimitList { meta: LimitMeta { total: data.len() }, data }))
}
