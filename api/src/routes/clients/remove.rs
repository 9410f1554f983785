//! DELETE /clients/{id}.

use axum::extract::State;
use http::StatusCode;
use spool_db::clients::{self, Deletion};
use uuid::Uuid;

use crate::caller::Caller;
use crate::database::commit;
use crate::error::{ApiError, Code};
use crate::extract::path::ApiPath;
use crate::state::AppState;

/// Deletes a client with its campaigns, its assets and its keys. Its jobs that have ended stay, and what they cost. A key that is bound
/// to a client cannot delete it.
#[utoipa::path(delete, path = "/api/v3/clients/{id}", operation_id = "delete_client", tag = "clients",
    params(("id" = Uuid, Path)), responses((status = 204),
    (status = 409, body = crate::error::Problem, description = "Jobs of it have not ended")))]
pub async fn remove(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
) -> Result<StatusCode, ApiError> {
    match caller.client {
        Some(own) if own != id => return Err(ApiError::not_found("client", id)),
        Some(_) => {
            let why = "this key is bound to the client and cannot delete it";
            return Err(ApiError::new(StatusCode::FORBIDDEN, Code::Forbidden, why));
        }
        None => {}
    }
    let mut transaction = state.db.begin().await?;
    match clients::delete(&mut transaction, id).await? {
        Deletion::Deleted => {}
        Deletion::Busy(jobs) => return Err(ApiError::in_use("client", id, format!("{jobs} jobs"))),
        Deletion::Unknown => return Err(ApiError::not_found("client", id)),
    }
    commit(transaction).await?;
    tracing::info!(client_id = %id, by = caller.key_id, "a client was deleted");
    Ok(StatusCode::NO_CONTENT)
}
