//! DELETE /admin/budgets.

use axum::extract::State;
use http::StatusCode;
use spool_db::budgets::{self, Scope};

use super::body::WhichBudget;
use super::wake_all;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::query::ApiQuery;
use crate::state::AppState;

/// Removes a budget: nothing limits its scope for that period any more.
#[utoipa::path(delete, path = "/api/v3/admin/budgets", operation_id = "remove_budget", tag = "admin",
    params(WhichBudget), responses((status = 204), (status = 404, body = crate::error::Problem)))]
pub async fn remove(
    State(state): State<AppState>,
    ApiQuery(which): ApiQuery<WhichBudget>,
) -> Result<StatusCode, ApiError> {
    let missing = || {
        ApiError::not_found("budget", format!("{} {} {}", which.scope, which.scope_id, which.period.as_str()))
    };
    let scope = Scope::parse(&which.scope, &which.scope_id).ok_or_else(missing)?;
    let mut transaction = state.db.begin().await?;
    if !budgets::remove(&mut transaction, &scope, which.period).await? {
        return Err(missing());
    }
    let bell = wake_all(&mut transaction).await?;
    commit(transaction).await?;
    state.db.ring(bell).await;
    Ok(StatusCode::NO_CONTENT)
}
