//! GET /webhooks/endpoints/{id}.

use axum::Json;
use axum::extract::State;
use spool_db::hooks::endpoints;
use uuid::Uuid;

use super::body::EndpointData;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::state::AppState;

/// Shows one webhook endpoint, without its secret.
#[utoipa::path(get, path = "/api/v3/webhooks/endpoints/{id}", operation_id = "show_webhook_endpoint", tag = "webhooks",
    params(("id" = Uuid, Path)), responses((status = 200, body = EndpointData)))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
) -> Result<Json<EndpointData>, ApiError> {
    let endpoint = endpoints::find(&mut *state.db.read().await?, id, caller.client).await?;
    let endpoint = endpoint.ok_or_else(|| ApiError::not_found("webhook endpoint", id))?;
    Ok(Json(EndpointData { data: endpoint.into() }))
}
