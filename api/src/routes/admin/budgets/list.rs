//! GET /admin/budgets.

use axum::Json;
use axum::extract::State;
use spool_db::budgets;

use super::body::{BudgetJson, BudgetList, BudgetMeta};
use crate::error::ApiError;
use crate::state::AppState;

/// Lists all budgets with what their present period has seen, widest scope first, and the emergency stop.
#[utoipa::path(get, path = "/api/v3/admin/budgets", operation_id = "list_budgets", tag = "admin",
    responses((status = 200, body = BudgetList)))]
pub async fn list(State(state): State<AppState>) -> Result<Json<BudgetList>, ApiError> {
    let mut conn = state.db.read().await?;
    let data: Vec<BudgetJson> = budgets::list(&mut conn).await?.into_iter().map(BudgetJson::from).collect();
    let stop = budgets::stopped(&mut conn).await?.map(Into::into);
    Ok(Json(BudgetList { meta: BudgetMeta { total: data.len(), stop }, data }))
}
