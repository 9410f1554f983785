//! GET /clients/{id}.

use axum::Json;
use axum::extract::State;
use spool_db::clients;
use uuid::Uuid;

use super::body::ClientData;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::state::AppState;

/// Shows one client.
#[utoipa::path(get, path = "/api/v3/clients/{id}", operation_id = "show_client", tag = "clients",
    params(("id" = Uuid, Path)), responses((status = 200, body = ClientData)))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
) -> Result<Json<ClientData>, ApiError> {
    let client = clients::find(&mut *state.db.read().await?, id, caller.client).await?;
    let client = client.ok_or_else(|| ApiError::not_found("client", id))?;
    Ok(Json(ClientData { data: client.into() }))
}
