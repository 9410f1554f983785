//! DELETE /webhooks/endpoints/{id}.

use axum::extract::State;
use http::StatusCode;
use spool_db::hooks::endpoints;
use spool_job::tasks::TaskKind;
use spool_queue::limits::{self, Share};
use uuid::Uuid;

use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::state::AppState;

/// Deletes a webhook endpoint and its log. What is on its way is not tried again.
#[utoipa::path(delete, path = "/api/v3/webhooks/endpoints/{id}", operation_id = "delete_webhook_endpoint", tag = "webhooks",
    params(("id" = Uuid, Path)), responses((status = 204)))]
pub async fn remove(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
) -> Result<StatusCode, ApiError> {
    let mut transaction = state.db.begin().await?;
    if !endpoints::delete(&mut transaction, id, caller.client).await? {
        return Err(ApiError::not_found("webhook endpoint", id));
    }
    // Nothing is said of it any more, so the queue forgets it.
    let forgotten =
        limits::set_share(&mut transaction, TaskKind::Deliver.queue(), &id.to_string(), Share::default())
            .await;
    forgotten.map_err(ApiError::internal)?;
    commit(transaction).await?;
    Ok(StatusCode::NO_CONTENT)
}
