//! GET /admin/breakers.

use axum::Json;
use axum::extract::State;
use spool_db::limits::breaker;

use super::body::{BreakerJson, BreakerList, BreakerMeta};
use crate::error::ApiError;
use crate::state::AppState;

/// Lists the breakers that are open or half open.
#[utoipa::path(get, path = "/api/v3/admin/breakers", operation_id = "list_breakers", tag = "admin",
    responses((status = 200, body = BreakerList)))]
pub async fn list(State(state): State<AppState>) -> Result<Json<BreakerList>, ApiError> {
    let mut conn = state.db.read().await?;
    let now = spool_db::limits::now(&mut conn).await?;
    let open = breaker::open(&mut conn, None).await?;
    let data: Vec<BreakerJson> = open.into_iter().map(|open| BreakerJson::of(open, now)).collect();
    Ok(Json(BreakerList { meta: BreakerMeta { total: data.len() }, data }))
}
