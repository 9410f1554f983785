//! DELETE /assets/{id}.

use axum::extract::State;
use http::StatusCode;
use spool_db::asset_changes::{self, Removal};
use uuid::Uuid;

use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::state::AppState;

/// Takes an asset away: it is in no list any more and cannot be fetched by its id. Refused while a job that has not ended uses it; jobs
/// that have ended keep what they need to be tried again.
#[utoipa::path(delete, path = "/api/v3/assets/{id}", operation_id = "delete_asset", tag = "assets",
    params(("id" = Uuid, Path)), responses((status = 204),
    (status = 409, body = crate::error::Problem, description = "Jobs that have not ended use it; see `job_ids`")))]
pub async fn remove(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
) -> Result<StatusCode, ApiError> {
    let mut transaction = state.db.begin().await?;
    match asset_changes::remove(&mut transaction, id, caller.client).await? {
        Removal::Removed => {}
        Removal::Unknown => return Err(ApiError::not_found("asset", id)),
        Removal::InUse(jobs) => {
            let named = jobs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(ApiError::in_use("asset", id, format!("jobs {named}")).with("job_ids", jobs));
        }
    }
    commit(transaction).await?;
    Ok(StatusCode::NO_CONTENT)
}
