//! POST /api/webhooks/replicate?prediction=…: a verified webhook binds the provider's id where ours lacks one and
//! wakes the task that waits. It carries no truth: the task asks the provider itself.

use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use spool_db::webhooks;
use spool_provider::webhook::{self, WebhookError};
use spool_queue::{TaskId, control};
use spool_telemetry::traces::{self, Past};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::database::commit;
use crate::error::{ApiError, Code};
use crate::extract::query::ApiQuery;
use crate::state::AppState;

const PROVIDER: &str = "replicate";

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WebhookQuery {
    /// Our id of the prediction, as it was put into the webhook's address.
    pub prediction: Option<Uuid>,
}

/// The only part of the body that is used, and only to learn the id.
#[derive(Debug, Deserialize)]
struct Sent {
    id: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Received {
    /// Always `ok`.
    pub status: &'static str,
}

/// Takes a signed webhook of Replicate. 2xx only once it is written down.
#[utoipa::path(post, path = "/api/webhooks/replicate", operation_id = "receive_replicate_webhook", tag = "webhooks",
    params(WebhookQuery, ("webhook-id" = String, Header), ("webhook-timestamp" = String, Header),
        ("webhook-signature" = String, Header)),
    request_body(content = Object, description = "The prediction as Replicate has it",
        example = json!({"id": "kr2d2jhqbsrj60cjb2vtmekgh4", "status": "succeeded"})),
    responses((status = 200, body = Received),
        (status = 401, body = crate::error::Problem, description = "The signature is not right, or too old")))]
pub async fn receive(
    State(state): State<AppState>,
    ApiQuery(query): ApiQuery<WebhookQuery>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Received>, ApiError> {
    let delivery = verify(&state, &headers, &body).await?;
    let Some(prediction) = query.prediction else {
        // Ours always name one. What is signed but not ours is taken, so that it is not sent again.
        return Ok(Json(Received { status: "ok" }));
    };
    let sent: Option<Sent> = serde_json::from_slice(&body).ok();
    record(&state, &delivery, prediction, sent.as_ref().map(|sent| sent.id.as_str())).await?;
    Ok(Json(Received { status: "ok" }))
}

/// The delivery's id, once its signature is right.
async fn verify(state: &AppState, headers: &HeaderMap, body: &[u8]) -> Result<String, ApiError> {
    let refused = || ApiError::unauthorized(Code::BadSignature, "the webhook's signature is not valid");
    let now = state.clock.now();
    let secret = state.webhook_secret.current().await.ok_or_else(refused)?;
    let error = match webhook::verify(&secret, headers, body, now) {
        Ok(verified) => return Ok(verified.id),
        Err(error) => error,
    };
    // The account's secret may have been rotated since it was asked for.
    if error == WebhookError::Mismatch
        && let Some(secret) = state.webhook_secret.renewed(&secret).await
        && let Ok(verified) = webhook::verify(&secret, headers, body, now)
    {
        return Ok(verified.id);
    }
    Err(refused().with_cause(error))
}

async fn record(
    state: &AppState,
    delivery: &str,
    prediction: Uuid,
    external_id: Option<&str>,
) -> Result<(), ApiError> {
    let began = state.clock.now();
    let mut transaction = state.db.begin().await?;
    let recorded =
        webhooks::record_webhook(&mut transaction, PROVIDER, delivery, prediction, external_id).await;
    let recorded = match recorded {
        // The id belongs to another row: a webhook at a wrong address proves nothing about ours. Only wake.
        Err(error) if error.is_constraint("predictions_external") => {
            tracing::warn!(prediction_id = %prediction, "a webhook names a provider id that is bound to another prediction");
            drop(transaction);
            transaction = state.db.begin().await?;
            webhooks::record_webhook(&mut transaction, PROVIDER, delivery, prediction, None).await?
        }
        other => other?,
    };
    let woken = match recorded.task_id.filter(|_| recorded.first) {
        Some(task) => Some(control::wake(&mut transaction, TaskId(task)).await.map_err(ApiError::internal)?),
        None => None,
    };
    commit(transaction).await?;
    if let Some(woken) = woken {
        state.db.ring(woken.bell).await;
    }
    if let Some(parent) = recorded.trace_parent.filter(|_| traces::is_on()) {
        tell_trace(&parent, prediction, began, state.clock.now());
    }
    Ok(())
}

/// The provider knows nothing of our traces: its request is a trace of its own, with a span in that of the job and a link each way.
fn tell_trace(parent: &str, prediction: Uuid, began: DateTime<Utc>, ended: DateTime<Utc>) {
    let request = tracing::Span::current();
    let past = Past::new("webhook", parent, began, ended).with("prediction_id", prediction.to_string());
    let past = traces::current().into_iter().fold(past, Past::linked_to);
    if let Some(told) = past.tell() {
        traces::link(&request, &told);
    }
}
