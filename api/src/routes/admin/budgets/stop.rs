//! POST and DELETE /admin/budgets/stop.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use spool_db::budgets::{self, NO_REASON};

use super::body::{StopJson, StopSpending};
use super::wake_all;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::json::OptionalJson;
use crate::state::AppState;
use crate::validation::Invalid;

/// Stops all new spending at once. What is bought already goes on, and everything else waits; nothing fails.
#[utoipa::path(post, path = "/api/v3/admin/budgets/stop", operation_id = "stop_spending", tag = "admin",
    request_body = StopSpending, responses((status = 200, body = StopJson)))]
pub async fn stop(
    State(state): State<AppState>,
    caller: Caller,
    OptionalJson(body): OptionalJson<StopSpending>,
) -> Result<Json<StopJson>, ApiError> {
    let mut invalid = Invalid::default();
    let why = invalid.required_text("why", body.why.or_else(|| Some(NO_REASON.to_owned())), 500);
    invalid.finish()?;
    let mut transaction = state.db.begin().await?;
    budgets::stop(&mut transaction, &why, &caller.key_id).await?;
    let stop = budgets::stopped(&mut transaction).await?;
    commit(transaction).await?;
    tracing::warn!(by = caller.key_id, why, "all spending is stopped");
    stop.map(|stop| Json(stop.into())).ok_or_else(|| ApiError::internal("the stop that was just set"))
}

/// Lifts the stop: what waits for money looks again.
#[utoipa::path(delete, path = "/api/v3/admin/budgets/stop", operation_id = "resume_spending", tag = "admin",
    responses((status = 204), (status = 404, body = crate::error::Problem, description = "Spending is not stopped")))]
pub async fn resume(State(state): State<AppState>, caller: Caller) -> Result<StatusCode, ApiError> {
    let mut transaction = state.db.begin().await?;
    if !budgets::go_on(&mut transaction).await? {
        return Err(ApiError::not_found("stop", "spending is not stopped"));
    }
    let bell = wake_all(&mut transaction).await?;
    commit(transaction).await?;
    state.db.ring(bell).await;
    tracing::info!(by = caller.key_id, "spending goes on");
    Ok(StatusCode::NO_CONTENT)
}
