//! DELETE /admin/keys/{key_id}.

use axum::extract::State;
use http::StatusCode;
use spool_db::keys;

use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::state::AppState;

/// Revokes a key: from its next request on it is refused. It stays in the list. Revoking twice changes nothing.
#[utoipa::path(delete, path = "/api/v3/admin/keys/{key_id}", operation_id = "revoke_key", tag = "admin",
    params(("key_id" = String, Path, description = "The part of the key between the underscores")), responses((status = 204)))]
pub async fn revoke(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<String>,
) -> Result<StatusCode, ApiError> {
    let mut transaction = state.db.begin().await?;
    if id.contains('\0') || !keys::revoke(&mut transaction, &id, Some(&caller.key_id)).await? {
        return Err(ApiError::not_found("key", id));
    }
    commit(transaction).await?;
    state.key_cache.forget(&id);
    tracing::info!(key_id = id, by = caller.key_id, "a key was revoked");
    Ok(StatusCode::NO_CONTENT)
}
