//! GET /admin/budgets.

use axum::Json;
use axum::extract::State;
use spool_db::budgets;

use super::body::{BudgetJson, BudgetList, BudgetMeta};
use crate::error::ApiError;
use crate::extract::query::ApiQuery;
use crate::page::PageQuery;
use crate::state::AppState;

/// Lists budgets with what their present period has seen, widest scope first, and the emergency stop.
#[utoipa::path(get, path = "/api/v3/admin/budgets", operation_id = "list_budgets", tag = "admin",
    params(PageQuery), responses((status = 200, body = BudgetList)))]
pub async fn list(
    State(state): State<AppState>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<BudgetList>, ApiError> {
    let (limit, offset) = page.bounds(100);
    let mut conn = state.db.read().await?;
    let (budgets, total) = budgets::page(&mut conn, limit, offset).await?;
    let data = budgets.into_iter().map(BudgetJson::from).collect();
    let stop = budgets::stopped(&mut conn).await?.map(Into::into);
    Ok(Json(BudgetList { data, meta: BudgetMeta { total, limit, offset, stop } }))
}
