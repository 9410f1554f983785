//! GET and PUT /admin/limits/weights.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use spool_db::limits::weights::{self, Weight};
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::{LimitMeta, provider};
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::json::ApiJson;
use crate::state::AppState;
use crate::validation::Invalid;

/// What a client gets beside the others.
#[derive(Debug, Serialize, ToSchema)]
pub struct WeightJson {
    pub provider: String,
    pub client_id: Uuid,
    /// The client's name.
    pub client: String,
    /// Turns for each one of a client of weight 1.
    pub weight: f64,
    /// Its tasks that wait for a turn.
    pub waiting: i64,
}

impl From<Weight> for WeightJson {
    fn from(weight: Weight) -> Self {
        Self {
            provider: weight.provider,
            client_id: weight.client,
            client: weight.name,
            weight: weight.weight,
            waiting: weight.waiting,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct WeightList {
    /// By name.
    pub data: Vec<WeightJson>,
    pub meta: LimitMeta,
}

/// A weight to set.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"provider": "replicate", "client_id": "0190f3a1-7c1e-7000-8000-0123456789ab", "weight": 2.0}))]
pub struct SetWeight {
    /// `replicate`.
    pub provider: String,
    pub client_id: Uuid,
    /// 1 is usual; 2 gets two turns for each one of a client of weight 1.
    #[schema(minimum = 0.01, maximum = 100.0)]
    pub weight: f64,
}

/// Lists clients whose weight is not 1, and those that wait for turns with a provider. All others weigh 1.
#[utoipa::path(get, path = "/api/v3/admin/limits/weights", operation_id = "list_weights", tag = "admin",
    responses((status = 200, body = WeightList)))]
pub async fn list(State(state): State<AppState>) -> Result<Json<WeightList>, ApiError> {
    let mut conn = state.db.read().await?;
    let data: Vec<WeightJson> = weights::list(&mut conn).await?.into_iter().map(WeightJson::from).collect();
    Ok(Json(WeightList { meta: LimitMeta { total: data.len() }, data }))
}

/// Gives a client more or less than the others of what a provider takes, from the next turn on.
#[utoipa::path(put, path = "/api/v3/admin/limits/weights", operation_id = "set_weight", tag = "admin",
    request_body = SetWeight, responses((status = 200, body = WeightJson)))]
pub async fn set(
    State(state): State<AppState>,
    ApiJson(body): ApiJson<SetWeight>,
) -> Result<Json<WeightJson>, ApiError> {
    let mut invalid = Invalid::default();
    let provider = provider(&mut invalid, body.provider);
    if !weights::is_weight(body.weight) {
        invalid.add("weight", "must be at least 0.01 and at most 100; 1 is usual");
    }
    invalid.finish()?;
    let mut transaction = state.db.begin().await?;
    let Some(weight) = weights::set(&mut transaction, &provider, body.client_id, body.weight).await? else {
        let mut invalid = Invalid::default();
        invalid.add("client_id", "is not the id of a client");
        invalid.finish()?;
        return Err(ApiError::not_found("client", body.client_id));
    };
    commit(transaction).await?;
    Ok(Json(weight.into()))
}
