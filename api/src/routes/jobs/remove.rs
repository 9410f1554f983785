//! DELETE /jobs/{id}.

use axum::extract::State;
use http::StatusCode;
use spool_db::job_deletion::{Deletion, delete};
use spool_job::tasks::group_key;
use spool_queue::inspect;

use crate::caller::Caller;
use crate::database::commit;
use crate::error::{ApiError, Code};
use crate::extract::path::ApiPath;
use crate::state::AppState;

/// Deletes a job that has ended: it is not seen any more, nor its scenes and videos. What it spent stays in the books.
#[utoipa::path(delete, path = "/api/v3/jobs/{id}", operation_id = "delete_job", tag = "jobs",
    params(("id" = i64, Path)), responses((status = 204, description = "It is deleted"),
    (status = 409, body = crate::error::Problem, description = "It has not ended; see `current_status`")))]
pub async fn remove(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<i64>,
) -> Result<StatusCode, ApiError> {
    let mut transaction = state.db.begin().await?;
    let live = |status: &str, why: &str| {
        let sentence = format!("job {id} is {status}: {why}");
        ApiError::new(StatusCode::CONFLICT, Code::NotEnded, sentence)
            .with("job_id", id)
            .with("current_status", status)
    };
    match delete(&mut transaction, id, caller.client, &caller.key_id).await? {
        Deletion::Deleted => {}
        Deletion::Unknown => return Err(ApiError::not_found("job", id).with("job_id", id)),
        Deletion::Live(at) => {
            return Err(live(at.as_str(), "only a job that has ended can be deleted; cancel it first"));
        }
    }
    // Tasks of a canceled job may still be on their way out.
    let tasks =
        inspect::tasks_of_group(&mut transaction, &group_key(id)).await.map_err(ApiError::internal)?;
    if tasks.iter().any(|task| !task.state.is_final()) {
        return Err(live("canceled", "its tasks are still ending; try again in a moment"));
    }
    commit(transaction).await?;
    tracing::info!(job_id = id, by = caller.key_id, "deleted");
    Ok(StatusCode::NO_CONTENT)
}
