//! GET /admin/predictions.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use spool_db::predictions::doubt::{self, Listed};
use spool_job::prediction::PredictionState;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::error::{ApiError, Code};
use crate::extract::query::ApiQuery;
use crate::page::PageQuery;
use crate::state::AppState;

const USUAL_PAGE: i64 = 100;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PredictionQuery {
    /// Only those in this state, such as `in_doubt`, `unknown` or `submitted`.
    pub state: Option<String>,
    /// How many rows, 1 to 1000.
    pub limit: Option<i64>,
    /// How many rows to leave out at the start.
    pub offset: Option<i64>,
}

/// One paid call.
#[derive(Debug, Serialize, ToSchema)]
pub struct PredictionJson {
    pub id: Uuid,
    pub job_id: i64,
    /// `render` or `music`.
    pub purpose: String,
    pub scene_id: Option<Uuid>,
    /// Scene index that a stretch of music lies under.
    pub ordinal: i32,
    /// Which try it is.
    pub attempt: i32,
    pub provider: String,
    pub model: String,
    /// `intent`, `submitted`, `refused`, `unknown`, `void`, `in_doubt`, `succeeded`, `failed`, `canceled` or `aborted`.
    pub state: String,
    /// The provider's id.
    pub external_id: Option<String>,
    /// What is held for it, or was, in micro-dollars.
    pub estimate_micros: i64,
    /// What it cost, once that is known, in micro-dollars.
    pub cost_micros: Option<i64>,
    pub error: Option<String>,
    /// Nothing was bought: the output is the one of this earlier prediction.
    pub reused_from: Option<Uuid>,
    /// What an operator says it is called at the provider; a worker is about to check it.
    pub claimed_external_id: Option<String>,
    pub intent_at: DateTime<Utc>,
    /// Since when nobody knows whether it was created.
    pub unknown_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
}

impl From<Listed> for PredictionJson {
    fn from(row: Listed) -> Self {
        Self {
            id: row.id,
            job_id: row.job_id,
            purpose: row.purpose,
            scene_id: row.scene_id,
            ordinal: row.ordinal,
            attempt: row.attempt,
            provider: row.provider,
            model: row.model,
            state: row.state,
            external_id: row.external_id,
            estimate_micros: row.estimate.0,
            cost_micros: row.cost.map(|cost| cost.0),
            error: row.error,
            reused_from: row.reused_from,
            claimed_external_id: row.claimed_external_id,
            intent_at: row.intent_at,
            unknown_at: row.unknown_at,
            finished_at: row.finished_at,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PredictionList {
    pub data: Vec<PredictionJson>,
    pub meta: PredictionMeta,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PredictionMeta {
    /// How many there are in this state, on all pages.
    pub total: i64,
}

/// Lists paid calls, oldest first.
#[utoipa::path(get, path = "/api/v3/admin/predictions", operation_id = "list_predictions", tag = "admin",
    params(PredictionQuery), responses((status = 200, body = PredictionList)))]
pub async fn list(
    State(state): State<AppState>,
    ApiQuery(query): ApiQuery<PredictionQuery>,
) -> Result<Json<PredictionList>, ApiError> {
    let wanted = match query.state.as_deref() {
        None => None,
        Some(word) => Some(word.parse::<PredictionState>().map_err(|_| unknown_state(word))?),
    };
    let page = PageQuery { limit: query.limit, offset: query.offset }.bounds(USUAL_PAGE);
    let (rows, total) = doubt::list(&mut *state.db.read().await?, wanted, page).await?;
    let data = rows.into_iter().map(PredictionJson::from).collect();
    Ok(Json(PredictionList { data, meta: PredictionMeta { total } }))
}

fn unknown_state(word: &str) -> ApiError {
    let known: Vec<&str> = PredictionState::ALL.iter().map(|state| state.as_str()).collect();
    let sentence = format!("state is {word:?}; known are {}", known.join(", "));
    ApiError::bad_request(Code::InvalidQuery, sentence)
}
