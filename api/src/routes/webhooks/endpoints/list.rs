//! GET /webhooks/endpoints.

use axum::Json;
use axum::extract::State;
use spool_db::hooks::endpoints;

use super::body::EndpointList;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::query::ApiQuery;
use crate::page::PageQuery;
use crate::routes::assets::body::PageMeta;
use crate::state::AppState;

/// Lists webhook endpoints, newest first, without their secrets.
#[utoipa::path(get, path = "/api/v3/webhooks/endpoints", operation_id = "list_webhook_endpoints", tag = "webhooks",
    params(PageQuery), responses((status = 200, body = EndpointList)))]
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<EndpointList>, ApiError> {
    let (limit, offset) = page.bounds(100);
    let (rows, total) = endpoints::list(&mut *state.db.read().await?, caller.client, limit, offset).await?;
    let data = rows.into_iter().map(Into::into).collect();
    Ok(Json(EndpointList { data, meta: PageMeta { total, limit, offset } }))
}
