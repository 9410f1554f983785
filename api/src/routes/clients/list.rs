//! GET /clients.

use axum::Json;
use axum::extract::State;
use spool_db::clients;

use super::body::{ClientList, TotalMeta};
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::query::ApiQuery;
use crate::page::PageQuery;
use crate::state::AppState;

/// Lists clients, newest first.
#[utoipa::path(get, path = "/api/v3/clients", operation_id = "list_clients", tag = "clients",
    params(PageQuery), responses((status = 200, body = ClientList)))]
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<ClientList>, ApiError> {
    let (limit, offset) = page.bounds(1000);
    let (clients, total) = clients::list(&mut *state.db.read().await?, caller.client, limit, offset).await?;
    Ok(Json(ClientList { data: clients.into_iter().map(Into::into).collect(), meta: TotalMeta { total } }))
}
