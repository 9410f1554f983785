//! POST /webhooks/endpoints.

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use secrecy::ExposeSecret;
use spool_db::clients;
use spool_db::hooks::endpoints::{self, NewEndpoint};
use uuid::Uuid;

use super::body::{CreateEndpoint, EndpointWithSecret, must_be_public};
use crate::caller::Caller;
use crate::database::commit;
use crate::error::{ApiError, Code};
use crate::extract::json::ApiJson;
use crate::idempotency::HoldsSecret;
use crate::state::AppState;
use crate::validation::Invalid;
use crate::{audit, hooks};

/// Most endpoints of one client, and of those that belong to none: each event is written once for each.
const MOST: i64 = 20;

/// Registers an endpoint. From now on it is told what happens to jobs (Standard Webhooks: `webhook-id`, `webhook-timestamp`,
/// `webhook-signature`), at least once, with tries over a day. Its secret is in this answer and in no other.
#[utoipa::path(post, path = "/api/v3/webhooks/endpoints", operation_id = "create_webhook_endpoint", tag = "webhooks",
    request_body = CreateEndpoint, responses((status = 201, body = EndpointWithSecret),
    (status = 409, body = crate::error::Problem, description = "There are 20 endpoints already, or the same request is under way")))]
pub async fn create(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(body): ApiJson<CreateEndpoint>,
) -> Result<(StatusCode, Extension<HoldsSecret>, Json<EndpointWithSecret>), ApiError> {
    let client_id = caller.claim_client(body.client_id)?;
    let wanted = body.check()?;
    must_be_public(&state, &wanted.url).await?;
    let new = NewEndpoint {
        client_id,
        url: wanted.url.into(),
        description: wanted.description,
        events: wanted.events,
        created_by: caller.key_id.clone(),
    };
    let (secret, sealed) = hooks::new_secret(&state);
    let mut transaction = state.db.begin().await?;
    let unknown = || Invalid::only("client_id", "does not exist");
    if let Some(client) = client_id
        && clients::find(&mut transaction, client, None).await?.is_none()
    {
        return Err(unknown());
    }
    if endpoints::count(&mut transaction, client_id).await? >= MOST {
        let why = format!("there are {MOST} webhook endpoints already; delete one first");
        return Err(ApiError::conflict(Code::TooManyEndpoints, why));
    }
    let id = Uuid::now_v7();
    let endpoint = match endpoints::create(&mut transaction, id, &new, &sealed).await {
        // The client was deleted in between.
        Err(error) if error.is_constraint("hook_endpoints_client_id_fkey") => {
            return Err(unknown().with_cause(error));
        }
        other => other?,
    };
    audit::about("endpoint", id.to_string());
    commit(transaction).await?;
    let secret = secret.expose_secret().to_owned();
    Ok((
        StatusCode::CREATED,
        Extension(HoldsSecret),
        Json(EndpointWithSecret { data: endpoint.into(), secret }),
    ))
}
