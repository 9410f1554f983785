//! GET /admin/orphans.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use spool_db::orphans::{self, Orphan};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::error::ApiError;
use crate::extract::query::ApiQuery;
use crate::page::PageQuery;
use crate::state::AppState;

const USUAL_PAGE: i64 = 100;

/// A prediction at a provider that bore our mark and that no row knew.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrphanJson {
    pub provider: String,
    /// The provider's id.
    pub external_id: String,
    pub model: String,
    /// Our prediction whose mark it bears.
    pub prediction_id: Uuid,
    /// Where that one stood; null when it has no row.
    pub row_state: Option<String>,
    /// `adopted`: given to the row that looked for it. `canceled`: called off, because no row wants it.
    pub done: String,
    pub found_at: DateTime<Utc>,
    /// How it ended, once it has.
    pub state: Option<String>,
    /// What a canceled one cost all the same, beside the ledger, in micro-dollars.
    pub cost_micros: Option<i64>,
}

impl From<Orphan> for OrphanJson {
    fn from(row: Orphan) -> Self {
        Self {
            provider: row.provider,
            external_id: row.external_id,
            model: row.model,
            prediction_id: row.prediction_id,
            row_state: row.row_state,
            done: row.done,
            found_at: row.found_at,
            state: row.state,
            cost_micros: row.cost.map(|cost| cost.0),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OrphanList {
    /// Newest first.
    pub data: Vec<OrphanJson>,
    pub meta: OrphanMeta,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OrphanMeta {
    pub adopted: i64,
    pub canceled: i64,
    /// What the canceled ones cost.
    pub cost_micros: i64,
}

/// Lists predictions that were found at the provider without a row, and what was done with them.
#[utoipa::path(get, path = "/api/v3/admin/orphans", operation_id = "list_orphans", tag = "admin",
    params(PageQuery), responses((status = 200, body = OrphanList)))]
pub async fn list(
    State(state): State<AppState>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<OrphanList>, ApiError> {
    let mut conn = state.db.read().await?;
    let data = orphans::list(&mut conn, page.bounds(USUAL_PAGE)).await?;
    let totals = orphans::totals(&mut conn).await?;
    let meta = OrphanMeta { adopted: totals.adopted, canceled: totals.canceled, cost_micros: totals.cost.0 };
    Ok(Json(OrphanList { data: data.into_iter().map(OrphanJson::from).collect(), meta }))
}
