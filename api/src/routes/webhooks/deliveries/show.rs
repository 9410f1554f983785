//! GET /webhooks/deliveries/{id}.

use axum::Json;
use axum::extract::State;
use spool_db::hooks::deliveries;
use uuid::Uuid;

use super::body::{DeliveryDetail, DeliveryDetailData};
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::state::AppState;

/// Tries that are shown.
const SHOWN: i64 = 50;

/// Shows a delivery: what was sent, each try, and what the endpoint said.
#[utoipa::path(get, path = "/api/v3/webhooks/deliveries/{id}", operation_id = "show_webhook_delivery", tag = "webhooks",
    params(("id" = Uuid, Path)), responses((status = 200, body = DeliveryDetailData)))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
) -> Result<Json<DeliveryDetailData>, ApiError> {
    let mut conn = state.db.read().await?;
    let delivery = deliveries::find(&mut conn, id, caller.client).await?;
    let delivery = delivery.ok_or_else(|| ApiError::not_found("webhook delivery", id))?;
    let log = deliveries::attempts(&mut conn, id, SHOWN).await?;
    let payload = delivery.payload.clone();
    let log = log.into_iter().map(Into::into).collect();
    Ok(Json(DeliveryDetailData { data: DeliveryDetail { delivery: delivery.into(), payload, log } }))
}
