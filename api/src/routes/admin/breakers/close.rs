//! DELETE /admin/breakers.

use axum::extract::State;
use http::StatusCode;
use spool_db::limits::{WHOLE_ACCOUNT, breaker};

use super::body::WhichBreaker;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::query::ApiQuery;
use crate::state::AppState;

/// Closes a breaker at once, whoever opened it. What was counted before counts no more.
#[utoipa::path(delete, path = "/api/v3/admin/breakers", operation_id = "close_breaker", tag = "admin",
    params(WhichBreaker), responses((status = 204), (status = 404, body = crate::error::Problem, description = "It is not open")))]
pub async fn close(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(which): ApiQuery<WhichBreaker>,
) -> Result<StatusCode, ApiError> {
    let model = which.model.as_deref().unwrap_or(WHOLE_ACCOUNT);
    let mut transaction = state.db.begin().await?;
    if !breaker::close(&mut transaction, &which.provider, model).await? {
        return Err(ApiError::not_found("breaker", format!("{} {model} is not open", which.provider)));
    }
    commit(transaction).await?;
    tracing::info!(by = caller.key_id, provider = which.provider, model, "an operator closed the breaker");
    Ok(StatusCode::NO_CONTENT)
}
