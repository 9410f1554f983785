//! GET /admin/audit.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use spool_db::audit::{self, Filter, Noted};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::error::ApiError;
use crate::extract::query::ApiQuery;
use crate::page::PageQuery;
use crate::state::AppState;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only what this key changed.
    pub key_id: Option<String>,
    /// Only what keys of this client changed.
    pub client_id: Option<Uuid>,
    /// Only at or after this.
    pub from: Option<DateTime<Utc>>,
    /// Only before this.
    pub to: Option<DateTime<Utc>>,
    /// The `next_before` of the page before.
    pub before: Option<i64>,
    /// How many rows, 1 to 1000, default 100.
    pub limit: Option<i64>,
}

/// A request that changed something.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditJson {
    pub id: i64,
    pub at: DateTime<Utc>,
    pub key_id: String,
    /// The client that the key was bound to.
    pub client_id: Option<Uuid>,
    /// Finds the request in the logs.
    pub request_id: String,
    pub method: String,
    /// The pattern of the path.
    pub route: String,
    pub path: String,
    /// Ids of what was made and names of what was changed, where the path does not tell.
    #[schema(value_type = Object)]
    pub about: Value,
}

impl From<Noted> for AuditJson {
    fn from(row: Noted) -> Self {
        Self {
            id: row.id,
            at: row.at,
            key_id: row.key_id,
            client_id: row.client_id,
            request_id: row.request_id,
            method: row.method,
            route: row.route,
            path: row.path,
            about: row.about,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AuditList {
    pub data: Vec<AuditJson>,
    pub meta: AuditMeta,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AuditMeta {
    pub limit: i64,
    /// Send it as `before` for the next page; none: this is the last.
    pub next_before: Option<i64>,
}

/// Lists what keys have changed, newest first: one row per request that changed something. No row holds a secret, a value of a body
/// or a query string.
#[utoipa::path(get, path = "/api/v3/admin/audit", operation_id = "list_audit", tag = "admin",
    params(AuditQuery), responses((status = 200, body = AuditList)))]
pub async fn list(
    State(state): State<AppState>,
    ApiQuery(query): ApiQuery<AuditQuery>,
) -> Result<Json<AuditList>, ApiError> {
    let (limit, _) = PageQuery { limit: query.limit, offset: None }.bounds(100);
    let filter = Filter {
        key_id: query.key_id,
        client_id: query.client_id,
        from: query.from,
        to: query.to,
        before: query.before,
    };
    // One more than asked for says whether there is another page.
    let mut rows = audit::list(&mut *state.db.read().await?, &filter, limit + 1).await?;
    let is_last = i64::try_from(rows.len()).is_ok_and(|count| count <= limit);
    rows.truncate(usize::try_from(limit).map_err(ApiError::internal)?);
    let next_before = if is_last { None } else { rows.last().map(|row| row.id) };
    Ok(Json(AuditList {
        data: rows.into_iter().map(Into::into).collect(),
        meta: AuditMeta { limit, next_before },
    }))
}
