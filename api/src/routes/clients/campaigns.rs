//! GET /clients/{id}/campaigns: snake_case, as in v3, where the campaigns' own route speaks camelCase.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use spool_db::campaigns::Campaign;
use spool_db::{campaigns, clients};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::extract::query::ApiQuery;
use crate::page::PageQuery;
use crate::routes::campaigns::body::{Brief, decoded};
use crate::state::AppState;

#[derive(Debug, Serialize, ToSchema)]
pub struct ClientCampaign {
    pub id: Uuid,
    pub name: String,
    /// A text or an object.
    #[schema(value_type = Option<Brief>)]
    pub brief: Option<Value>,
    pub client_id: Uuid,
    pub inserted_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<Campaign> for ClientCampaign {
    fn from(row: Campaign) -> Self {
        Self {
            id: row.id,
            name: row.name,
            brief: row.brief.map(decoded),
            client_id: row.client_id,
            inserted_at: row.inserted_at,
            updated_at: row.updated_at,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ClientCampaigns {
    pub data: Vec<ClientCampaign>,
    pub meta: ClientCampaignsMeta,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ClientCampaignsMeta {
    pub client_id: Uuid,
    /// How many there are in all, whatever the page.
    pub total: i64,
}

/// Lists the campaigns of a client, newest first.
#[utoipa::path(get, path = "/api/v3/clients/{id}/campaigns", operation_id = "list_client_campaigns", tag = "clients",
    params(("id" = Uuid, Path), PageQuery), responses((status = 200, body = ClientCampaigns)))]
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<ClientCampaigns>, ApiError> {
    let (limit, offset) = page.bounds(1000);
    let mut conn = state.db.read().await?;
    clients::find(&mut conn, id, caller.client).await?.ok_or_else(|| ApiError::not_found("client", id))?;
    let (rows, total) = campaigns::list(&mut conn, caller.client, Some(id), limit, offset).await?;
    Ok(Json(ClientCampaigns {
        data: rows.into_iter().map(Into::into).collect(),
        meta: ClientCampaignsMeta { client_id: id, total },
    }))
}
