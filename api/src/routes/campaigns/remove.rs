//! DELETE /campaigns/{id}.

use axum::extract::State;
use http::StatusCode;
use spool_db::campaigns;
use spool_db::clients::Deletion;
use uuid::Uuid;

use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::state::AppState;

/// Deletes a campaign with its assets. Its jobs that have ended stay, and what they cost.
#[utoipa::path(delete, path = "/api/v3/campaigns/{id}", operation_id = "delete_campaign", tag = "campaigns",
    params(("id" = Uuid, Path)), responses((status = 204),
    (status = 409, body = crate::error::Problem, description = "Jobs of it have not ended")))]
pub async fn remove(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
) -> Result<StatusCode, ApiError> {
    let mut transaction = state.db.begin().await?;
    match campaigns::delete(&mut transaction, id, caller.client).await? {
        Deletion::Deleted => {}
        Deletion::Busy(jobs) => return Err(ApiError::in_use("campaign", id, format!("{jobs} jobs"))),
        Deletion::Unknown => return Err(ApiError::not_found("campaign", id)),
    }
    commit(transaction).await?;
    tracing::info!(campaign_id = %id, by = caller.key_id, "a campaign was deleted");
    Ok(StatusCode::NO_CONTENT)
}
