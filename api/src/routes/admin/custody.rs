//! GET /admin/custody.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use spool_db::custody::{self, Output};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::error::ApiError;
use crate::extract::query::ApiQuery;
use crate::page::PageQuery;
use crate::state::AppState;

const USUAL_PAGE: i64 = 100;

/// An output that is paid for and not stored.
#[derive(Debug, Serialize, ToSchema)]
pub struct OutputJson {
    pub prediction_id: Uuid,
    pub job_id: i64,
    pub model: String,
    /// The provider's id.
    pub external_id: Option<String>,
    pub cost_micros: i64,
    /// When the provider deletes it.
    pub gone_at: Option<DateTime<Utc>>,
    /// It was deleted before it was stored.
    pub lost: bool,
}

impl From<Output> for OutputJson {
    fn from(row: Output) -> Self {
        Self {
            prediction_id: row.prediction_id,
            job_id: row.job_id,
            model: row.model,
            external_id: row.external_id,
            cost_micros: row.cost.0,
            gone_at: row.gone_at,
            lost: row.lost,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CustodyList {
    /// Least time first.
    pub data: Vec<OutputJson>,
    pub meta: CustodyMeta,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CustodyMeta {
    /// Outputs that wait to be fetched.
    pub waiting: i64,
    /// Seconds left to fetch the one that is deleted first.
    pub tightest_seconds: Option<f64>,
    /// Outputs that were paid for and are lost.
    pub lost: i64,
    /// What those had cost.
    pub lost_micros: i64,
}

/// Lists outputs that are paid for and not stored: those that wait to be fetched, and those that are lost.
#[utoipa::path(get, path = "/api/v3/admin/custody", operation_id = "list_custody", tag = "admin",
    params(PageQuery), responses((status = 200, body = CustodyList)))]
pub async fn list(
    State(state): State<AppState>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<CustodyList>, ApiError> {
    let mut conn = state.db.read().await?;
    let data = custody::list(&mut conn, page.bounds(USUAL_PAGE)).await?;
    let standing = custody::standing(&mut conn).await?;
    let meta = CustodyMeta {
        waiting: standing.waiting,
        tightest_seconds: standing.tightest_s,
        lost: standing.lost,
        lost_micros: standing.lost_cost.0,
    };
    Ok(Json(CustodyList { data: data.into_iter().map(OutputJson::from).collect(), meta }))
}
