//! DELETE /admin/limits.

use axum::extract::State;
use http::StatusCode;
use spool_db::limits::{WHOLE_ACCOUNT, standing};

use super::body::WhichLimit;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::query::ApiQuery;
use crate::state::AppState;

/// Goes back to the workers' settings, and ends pauses and cuts that troubles brought.
#[utoipa::path(delete, path = "/api/v3/admin/limits", operation_id = "reset_limit", tag = "admin",
    params(WhichLimit), responses((status = 204), (status = 404, body = crate::error::Problem)))]
pub async fn reset(
    State(state): State<AppState>,
    ApiQuery(which): ApiQuery<WhichLimit>,
) -> Result<StatusCode, ApiError> {
    let model = which.model.as_deref().unwrap_or(WHOLE_ACCOUNT);
    let mut transaction = state.db.begin().await?;
    if !standing::reset(&mut transaction, &which.provider, which.class, model).await? {
        let which = format!("{} {} {model}", which.provider, which.class.as_str());
        return Err(ApiError::not_found("limit", which));
    }
    commit(transaction).await?;
    Ok(StatusCode::NO_CONTENT)
}
