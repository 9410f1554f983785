//! POST /jobs/{id}/approve.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use spool_db::jobs;
use utoipa::ToSchema;

use super::costs::Costs;
use crate::approval;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::state::AppState;

#[derive(Debug, Serialize, ToSchema)]
pub struct ApprovedJob {
    pub message: &'static str,
    pub job_id: i64,
    /// Always `approved`.
    pub status: &'static str,
    pub costs: Costs,
}

/// Approves a pending job: its tasks enter the queue, and from here on it may spend what the estimate says.
#[utoipa::path(post, path = "/api/v3/jobs/{id}/approve", operation_id = "approve_job", tag = "jobs",
    params(("id" = i64, Path)), responses((status = 200, body = ApprovedJob),
    (status = 422, body = crate::error::Problem, description = "It is not pending; see `current_status`")))]
pub async fn approve(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<i64>,
) -> Result<Json<ApprovedJob>, ApiError> {
    let mut transaction = state.db.begin().await?;
    let bell = approval::approve(&mut transaction, id, caller.client).await?;
    let unknown = || ApiError::not_found("job", id).with("job_id", id);
    let job = jobs::show(&mut transaction, id, caller.client).await?.ok_or_else(unknown)?;
    let costs = Costs::now(&mut transaction, &job, &caller).await?;
    commit(transaction).await?;
    bell.ring(state.db.pool()).await;
    Ok(Json(ApprovedJob {
        message: "the job is approved and waits for a worker",
        job_id: id,
        status: "approved",
        costs,
    }))
}
