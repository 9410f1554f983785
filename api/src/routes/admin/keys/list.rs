//! GET /admin/keys.

use axum::Json;
use axum::extract::State;
use spool_db::keys;

use super::body::KeyList;
use crate::error::ApiError;
use crate::extract::query::ApiQuery;
use crate::page::PageQuery;
use crate::routes::assets::body::PageMeta;
use crate::state::AppState;

/// Lists keys, newest first, also those that expired or were revoked.
#[utoipa::path(get, path = "/api/v3/admin/keys", operation_id = "list_keys", tag = "admin",
    params(PageQuery), responses((status = 200, body = KeyList)))]
pub async fn list(
    State(state): State<AppState>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<KeyList>, ApiError> {
    let (limit, offset) = page.bounds(100);
    let (keys, total) = keys::list(&mut *state.db.read().await?, limit, offset).await?;
    let data = keys.into_iter().map(Into::into).collect();
    Ok(Json(KeyList { data, meta: PageMeta { total, limit, offset } }))
}
