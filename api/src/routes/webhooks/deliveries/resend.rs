//! POST /webhooks/deliveries/{id}/resend.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use spool_db::hooks::deliveries::{self, Resend};
use uuid::Uuid;

use super::body::DeliveryData;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::hooks;
use crate::state::AppState;

/// Sends a webhook now, whatever became of it, with the same `webhook-id` and all its tries before it.
#[utoipa::path(post, path = "/api/v3/webhooks/deliveries/{id}/resend", operation_id = "resend_webhook_delivery", tag = "webhooks",
    params(("id" = Uuid, Path)), responses((status = 202, body = DeliveryData),
    (status = 409, body = crate::error::Problem, description = "Its endpoint is disabled, or the same request is under way")))]
pub async fn resend(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
) -> Result<(StatusCode, Json<DeliveryData>), ApiError> {
    let unknown = || ApiError::not_found("webhook delivery", id);
    let mut transaction = state.db.begin().await?;
    let endpoint = match deliveries::resend(&mut transaction, id, caller.client).await? {
        Resend::Due { endpoint_id } => endpoint_id,
        Resend::Disabled { endpoint_id } => return Err(hooks::disabled(endpoint_id)),
        Resend::Unknown => return Err(unknown()),
    };
    let bell = hooks::send_now(&mut transaction, endpoint, &[id]).await?;
    let delivery = deliveries::find(&mut transaction, id, caller.client).await?.ok_or_else(unknown)?;
    commit(transaction).await?;
    state.db.ring(bell).await;
    Ok((StatusCode::ACCEPTED, Json(DeliveryData { data: delivery.into() })))
}
