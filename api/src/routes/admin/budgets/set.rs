//! PUT /admin/budgets.

use axum::Json;
use axum::extract::State;
use spool_db::budgets;

use super::body::{BudgetJson, SetBudget, refused};
use super::wake_all;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::json::ApiJson;
use crate::state::AppState;
use crate::validation::Invalid;

/// Sets a budget, new or changed. It binds the present period at once; what waits for money goes on in fair order.
#[utoipa::path(put, path = "/api/v3/admin/budgets", operation_id = "set_budget", tag = "admin",
    request_body = SetBudget, responses((status = 200, body = BudgetJson)))]
pub async fn set(
    State(state): State<AppState>,
    ApiJson(body): ApiJson<SetBudget>,
) -> Result<Json<BudgetJson>, ApiError> {
    let (scope, period, change) = body.check()?;
    let mut transaction = state.db.begin().await?;
    if let Some(zone) = &change.zone
        && !budgets::knows_zone(&mut transaction, zone).await?
    {
        let mut invalid = Invalid::default();
        invalid.add("zone", "is not the IANA name of a time zone, such as Europe/Berlin");
        invalid.finish()?;
    }
    budgets::lock(&mut transaction).await?;
    let before = budgets::show(&mut transaction, &scope, period).await?.map(|standing| standing.budget);
    let budget = change.of(scope, period, before).map_err(refused)?;
    budgets::set(&mut transaction, &budget).await?;
    let bell = wake_all(&mut transaction).await?;
    let standing = budgets::show(&mut transaction, &budget.scope, budget.period).await?;
    commit(transaction).await?;
    state.db.ring(bell).await;
    standing
        .map(|standing| Json(standing.into()))
        .ok_or_else(|| ApiError::internal(format!("the {} budget that was just set", budget.scope.word())))
}
