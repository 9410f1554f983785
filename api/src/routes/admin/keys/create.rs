//! POST /admin/keys.

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use secrecy::ExposeSecret;
use spool_db::clients;
use spool_db::keys::{self, ENTROPY_BYTES, KeyToken, NewKey};

use super::body::{CreateKey, CreatedKey};
use crate::audit;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::json::ApiJson;
use crate::idempotency::HoldsSecret;
use crate::state::AppState;
use crate::validation::Invalid;

/// Makes a key. Its secret is in this answer and nowhere else: the database keeps a hash.
#[utoipa::path(post, path = "/api/v3/admin/keys", operation_id = "create_key", tag = "admin",
    request_body = CreateKey, responses((status = 201, body = CreatedKey)))]
pub async fn create(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(body): ApiJson<CreateKey>,
) -> Result<(StatusCode, Extension<HoldsSecret>, Json<CreatedKey>), ApiError> {
    let wanted = body.check(state.clock.now())?;
    let mut entropy = [0; ENTROPY_BYTES];
    rand::fill(&mut entropy);
    let token = KeyToken::mint(entropy);
    let new = NewKey {
        name: &wanted.name,
        scopes: &wanted.scopes,
        client_id: wanted.client_id,
        expires_at: wanted.expires_at,
        requests_per_minute: wanted.requests_per_minute,
        created_by: Some(&caller.key_id),
    };
    let mut transaction = state.db.begin().await?;
    if let Some(client) = wanted.client_id
        && clients::find(&mut transaction, client, None).await?.is_none()
    {
        return Err(Invalid::only("client_id", "does not exist"));
    }
    match keys::insert(&mut transaction, &token, &new).await {
        // The client was deleted in between.
        Err(error) if error.is_constraint("api_keys_client") => {
            return Err(Invalid::only("client_id", "does not exist").with_cause(error));
        }
        other => other?,
    }
    let stored = keys::find(&mut transaction, token.id()).await?;
    let stored = stored.ok_or_else(|| ApiError::internal("the key that was just stored is not there"))?;
    audit::about("key", token.id());
    commit(transaction).await?;
    tracing::info!(key_id = token.id(), by = caller.key_id, "a key was made");
    let key = token.reveal().expose_secret().to_owned();
    Ok((StatusCode::CREATED, Extension(HoldsSecret), Json(CreatedKey { data: stored.into(), key })))
}
