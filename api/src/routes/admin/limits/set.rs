//! PUT /admin/limits.

use axum::Json;
use axum::extract::State;
use spool_db::limits::standing;

use super::body::{LimitJson, SetLimit};
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::json::ApiJson;
use crate::state::AppState;

/// Sets a limit in the place of the workers' settings. It binds all workers at once.
#[utoipa::path(put, path = "/api/v3/admin/limits", operation_id = "set_limit", tag = "admin",
    request_body = SetLimit, responses((status = 200, body = LimitJson)))]
pub async fn set(
    State(state): State<AppState>,
    ApiJson(body): ApiJson<SetLimit>,
) -> Result<Json<LimitJson>, ApiError> {
    let limit = body.check()?;
    let mut transaction = state.db.begin().await?;
    standing::set(
        &mut transaction,
        &limit.provider,
        limit.class,
        &limit.model,
        limit.per_minute,
        limit.max_in_flight,
    )
    .await?;
    let all = standing::list(&mut transaction).await?;
    commit(transaction).await?;
    let shown = all
        .into_iter()
        .find(|one| one.provider == limit.provider && one.class == limit.class && one.model == limit.model);
    shown
        .map(|shown| Json(shown.into()))
        .ok_or_else(|| ApiError::internal(format!("the limit of {} that was just set", limit.model)))
}
