//! POST /clients.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use spool_db::clients;
use uuid::Uuid;

use super::body::{ClientData, CreateClient};
use crate::audit;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::{ApiError, Code};
use crate::extract::json::ApiJson;
use crate::state::AppState;

/// Creates a client. Keys that are bound to one client cannot create others.
#[utoipa::path(post, path = "/api/v3/clients", operation_id = "create_client", tag = "clients",
    request_body = CreateClient, responses((status = 201, body = ClientData)))]
pub async fn create(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(body): ApiJson<CreateClient>,
) -> Result<(StatusCode, Json<ClientData>), ApiError> {
    if caller.client.is_some() {
        let why = "this key is bound to one client and cannot create another";
        return Err(ApiError::new(StatusCode::FORBIDDEN, Code::Forbidden, why));
    }
    let new = body.check()?;
    let mut transaction = state.db.begin().await?;
    let client = clients::create(&mut transaction, Uuid::now_v7(), &new).await?;
    audit::about("client", client.id.to_string());
    commit(transaction).await?;
    Ok((StatusCode::CREATED, Json(ClientData { data: client.into() })))
}
