//! POST /jobs/{id}/approve.

use axum::Json;
use axum::extract::State;
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use spool_db::jobs;
use utoipa::ToSchema;

use super::costs::Costs;
use super::polling;
use super::words::JobStatus;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::{ApiError, Code};
use crate::extract::path::ApiPath;
use crate::state::AppState;
use crate::{approval, etag};

#[derive(Debug, Serialize, ToSchema)]
pub struct ApprovedJob {
    pub message: &'static str,
    pub job_id: i64,
    /// Always `approved`.
    #[schema(value_type = JobStatus)]
    pub status: &'static str,
    pub costs: Costs,
}

/// Approves a pending job: its tasks enter the queue, and from here on it may spend what the estimate says. With `if-match` only the
/// storyboard that was shown with that `etag` is approved.
#[utoipa::path(post, path = "/api/v3/jobs/{id}/approve", operation_id = "approve_job", tag = "jobs",
    params(("id" = i64, Path), ("if-match" = Option<String>, Header, description = "The `etag` that the job was shown with")),
    responses((status = 200, body = ApprovedJob),
    (status = 412, body = crate::error::Problem, description = "It has changed since it had the `etag` of `if-match`"),
    (status = 422, body = crate::error::Problem, description = "It is not pending; see `current_status`")))]
pub async fn approve(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<i64>,
    headers: HeaderMap,
) -> Result<Json<ApprovedJob>, ApiError> {
    let mut transaction = state.db.begin().await?;
    let before = jobs::version(&mut transaction, id, caller.client).await?;
    let bell = approval::approve(&mut transaction, id, caller.client).await?;
    if let (Some(before), true) = (before, headers.contains_key(header::IF_MATCH)) {
        let after = jobs::version(&mut transaction, id, caller.client).await?;
        // The approval itself is one change; any other came between the look and the lock.
        let is_alone = after.is_some_and(|after| after.version == before.version + 1);
        let tag = polling::tag(id, before.version, before.state, state.clock.now());
        if !is_alone || !etag::matches(&headers, &tag) {
            let why = format!("job {id} has changed since it was shown: look at it again");
            return Err(ApiError::new(StatusCode::PRECONDITION_FAILED, Code::PreconditionFailed, why)
                .with("job_id", id));
        }
    }
    let costs = Costs::reread(&mut transaction, id, &caller).await?;
    commit(transaction).await?;
    state.db.ring(bell).await;
    Ok(Json(ApprovedJob {
        message: "the job is approved and waits for a worker",
        job_id: id,
        status: "approved",
        costs,
    }))
}
