//! POST /webhooks/endpoints/{id}/rotate.

use axum::extract::State;
use axum::{Extension, Json};
use secrecy::ExposeSecret;
use serde::Deserialize;
use spool_db::hooks::endpoints;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::EndpointWithSecret;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::json::OptionalJson;
use crate::extract::path::ApiPath;
use crate::hooks;
use crate::idempotency::HoldsSecret;
use crate::state::AppState;
use crate::validation::Invalid;

/// Hours, when the request does not say.
const USUAL_OVERLAP: i64 = 24;
const LONGEST_OVERLAP: i64 = 168;

#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"overlap_hours": 24}))]
pub struct RotateSecret {
    /// For so many hours the secret of before signs, too: 0 to 168, 24 when left out. 0 when it may be in wrong hands.
    #[schema(minimum = 0, maximum = 168)]
    pub overlap_hours: Option<i64>,
}

/// Gives a webhook endpoint another secret, which is in this answer and in no other. While both are valid each message carries two
/// signatures; a rotation within that time ends the older one.
#[utoipa::path(post, path = "/api/v3/webhooks/endpoints/{id}/rotate", operation_id = "rotate_webhook_secret", tag = "webhooks",
    params(("id" = Uuid, Path)), request_body = Option<RotateSecret>, responses((status = 200, body = EndpointWithSecret)))]
pub async fn rotate(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
    OptionalJson(body): OptionalJson<RotateSecret>,
) -> Result<(Extension<HoldsSecret>, Json<EndpointWithSecret>), ApiError> {
    let hours = body.overlap_hours.unwrap_or(USUAL_OVERLAP);
    if !(0..=LONGEST_OVERLAP).contains(&hours) {
        return Err(Invalid::only("overlap_hours", format!("must be between 0 and {LONGEST_OVERLAP}")));
    }
    let (secret, sealed) = hooks::new_secret(&state);
    let mut transaction = state.db.begin().await?;
    let endpoint = endpoints::rotate(&mut transaction, id, caller.client, &sealed, hours * 3600).await?;
    let endpoint = endpoint.ok_or_else(|| ApiError::not_found("webhook endpoint", id))?;
    commit(transaction).await?;
    let secret = secret.expose_secret().to_owned();
    Ok((Extension(HoldsSecret), Json(EndpointWithSecret { data: endpoint.into(), secret })))
}
