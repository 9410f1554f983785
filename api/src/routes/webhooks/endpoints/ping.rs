//! POST /webhooks/endpoints/{id}/ping.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde_json::json;
use spool_db::hooks::{deliveries, endpoints};
use spool_job::hook_event::HookEvent;
use uuid::Uuid;

use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::routes::webhooks::deliveries::body::DeliveryData;
use crate::state::AppState;
use crate::{audit, hooks};

/// Sends a message of the kind `webhook.ping` to an endpoint, once, whatever kinds it wants. The log shows what came of it.
#[utoipa::path(post, path = "/api/v3/webhooks/endpoints/{id}/ping", operation_id = "ping_webhook_endpoint", tag = "webhooks",
    params(("id" = Uuid, Path)), responses((status = 202, body = DeliveryData),
    (status = 409, body = crate::error::Problem, description = "It is disabled, or the same request is under way")))]
pub async fn ping(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
) -> Result<(StatusCode, Json<DeliveryData>), ApiError> {
    let mut transaction = state.db.begin().await?;
    let endpoint = endpoints::find(&mut transaction, id, caller.client).await?;
    let endpoint = endpoint.ok_or_else(|| ApiError::not_found("webhook endpoint", id))?;
    if !endpoint.enabled {
        return Err(hooks::disabled(id));
    }
    let data = json!({"endpoint_id": id});
    let delivery = deliveries::send(&mut transaction, id, HookEvent::Ping.as_str(), &data).await?;
    let bell = hooks::send_now(&mut transaction, id, &[delivery]).await?;
    let written = deliveries::find(&mut transaction, delivery, caller.client).await?;
    let written =
        written.ok_or_else(|| ApiError::internal("the delivery that was just written is not there"))?;
    audit::about("delivery", delivery.to_string());
    commit(transaction).await?;
    state.db.ring(bell).await;
    Ok((StatusCode::ACCEPTED, Json(DeliveryData { data: written.into() })))
}
