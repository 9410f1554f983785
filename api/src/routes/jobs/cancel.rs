//! POST /jobs/{id}/cancel.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use spool_db::cancellation::Cancellation;
use spool_job::state::JobState;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::cancellation;
use crate::database::commit;
use crate::error::{ApiError, Code};
use crate::extract::path::ApiPath;
use crate::routes::jobs::costs::Costs;
use crate::routes::jobs::words::JobStatus;
use crate::state::AppState;

#[derive(Debug, Serialize, ToSchema)]
pub struct CanceledJob {
    pub message: &'static str,
    pub job_id: i64,
    /// `canceled`, or where the job stands until what it has bought is called off and paid.
    #[schema(value_type = JobStatus)]
    pub status: &'static str,
    /// What it has spent and still holds, beside what it was thought to cost.
    pub costs: Costs,
}

/// Calls a job off. What is in flight at the provider is called off there too, and what that costs all the same is booked; then
/// the job is `canceled`. What was bought before is kept. Saying it twice is saying it once.
#[utoipa::path(post, path = "/api/v3/jobs/{id}/cancel", operation_id = "cancel_job", tag = "jobs",
    params(("id" = i64, Path)), responses((status = 200, body = CanceledJob),
    (status = 409, body = crate::error::Problem, description = "It is completed or failed; see `current_status`")))]
pub async fn cancel(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<i64>,
) -> Result<Json<CanceledJob>, ApiError> {
    let mut transaction = state.db.begin().await?;
    let (done, bell) = cancellation::cancel(&mut transaction, id, caller.client, &caller.key_id).await?;
    let (message, status) = match done {
        Cancellation::Ended | Cancellation::Final(JobState::Canceled) => {
            ("the job is canceled", JobState::Canceled)
        }
        Cancellation::Requested { state } => ("the job is being called off", state),
        Cancellation::Unknown => return Err(ApiError::not_found("job", id).with("job_id", id)),
        Cancellation::Final(state) => {
            let why = format!("job {id} is {state}; only a job that has not ended can be canceled");
            return Err(ApiError::new(StatusCode::CONFLICT, Code::AlreadyFinal, why)
                .with("job_id", id)
                .with("current_status", state.as_str()));
        }
    };
    let costs = Costs::reread(&mut transaction, id, &caller).await?;
    commit(transaction).await?;
    state.db.ring(bell).await;
    tracing::info!(job_id = id, by = caller.key_id, outcome = ?done, "cancel");
    Ok(Json(CanceledJob { message, job_id: id, status: status.as_str(), costs }))
}
