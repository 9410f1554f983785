//! POST /webhooks/endpoints/{id}/resend.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use spool_db::hooks::{deliveries, endpoints};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::json::OptionalJson;
use crate::extract::path::ApiPath;
use crate::hooks;
use crate::state::AppState;

/// Most messages of one request.
const MOST: i64 = 500;
const USUAL: TimeDelta = TimeDelta::hours(24);

#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"since": "2026-11-20T00:00:00Z"}))]
pub struct ResendFailed {
    /// What has happened since then; the last 24 hours when left out.
    pub since: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Resent {
    /// Messages that are sent again now.
    pub resent: usize,
    /// Failed ones that are left: ask again.
    pub remaining: i64,
}

/// Sends what has failed again, the oldest first, at most 500 messages: for an endpoint that was away. Each has all its tries before it.
#[utoipa::path(post, path = "/api/v3/webhooks/endpoints/{id}/resend", operation_id = "resend_failed_webhooks", tag = "webhooks",
    params(("id" = Uuid, Path)), request_body = Option<ResendFailed>, responses((status = 202, body = Resent),
    (status = 409, body = crate::error::Problem, description = "It is disabled, or the same request is under way")))]
pub async fn resend(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
    OptionalJson(body): OptionalJson<ResendFailed>,
) -> Result<(StatusCode, Json<Resent>), ApiError> {
    let since = body.since.unwrap_or_else(|| state.clock.now() - USUAL);
    let mut transaction = state.db.begin().await?;
    let endpoint = endpoints::find(&mut transaction, id, caller.client).await?;
    let endpoint = endpoint.ok_or_else(|| ApiError::not_found("webhook endpoint", id))?;
    if !endpoint.enabled {
        return Err(hooks::disabled(id));
    }
    let again = deliveries::resend_failed(&mut transaction, id, since, MOST).await?;
    let bell = hooks::send_now(&mut transaction, id, &again).await?;
    let remaining = deliveries::failed(&mut transaction, id, since).await?;
    commit(transaction).await?;
    state.db.ring(bell).await;
    Ok((StatusCode::ACCEPTED, Json(Resent { resent: again.len(), remaining })))
}
