//! GET /webhooks/deliveries.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use spool_db::hooks::deliveries::{self, Filter};
use spool_job::hook_event::HookEvent;
use utoipa::IntoParams;
use uuid::Uuid;

use super::body::{DeliveryList, DeliveryMeta};
use crate::caller::Caller;
use crate::error::{ApiError, Code};
use crate::extract::query::ApiQuery;
use crate::state::AppState;

const USUAL: i64 = 50;
const MOST: i64 = 200;
const STATES: [&str; 3] = ["pending", "delivered", "failed"];

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeliveriesQuery {
    /// Only for this endpoint.
    pub endpoint_id: Option<Uuid>,
    /// Only `pending`, `delivered` or `failed` ones.
    pub state: Option<String>,
    /// Only of this kind, such as `job.completed`.
    pub event_type: Option<String>,
    /// Only about this job.
    pub job_id: Option<i64>,
    /// `next_cursor` of the page before, with the same filters.
    pub cursor: Option<String>,
    /// How many, 1 to 200, 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<i64>,
}

impl DeliveriesQuery {
    fn filter(self, caller: &Caller) -> Result<Filter, ApiError> {
        if let Some(state) = self.state.as_deref().filter(|state| !STATES.contains(state)) {
            return Err(refused(format!("state: {state:?} is none of {}", STATES.join(", "))));
        }
        if let Some(event) = &self.event_type {
            event.parse::<HookEvent>().map_err(|error| refused(format!("event_type: {error}")))?;
        }
        Ok(Filter {
            owner: caller.client,
            endpoint: self.endpoint_id,
            state: self.state,
            event: self.event_type,
            job: self.job_id,
            before: self.cursor.as_deref().map(place).transpose()?,
        })
    }
}

/// Lists what endpoints were told, or are to be told, newest first. It is kept for 30 days.
#[utoipa::path(get, path = "/api/v3/webhooks/deliveries", operation_id = "list_webhook_deliveries", tag = "webhooks",
    params(DeliveriesQuery), responses((status = 200, body = DeliveryList)))]
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<DeliveriesQuery>,
) -> Result<Json<DeliveryList>, ApiError> {
    let limit = query.limit.unwrap_or(USUAL).clamp(1, MOST);
    let filter = query.filter(&caller)?;
    // One more than is shown says whether there is another page.
    let mut rows = deliveries::list(&mut *state.db.read().await?, &filter, limit + 1).await?;
    let is_last = rows.len() as i64 <= limit;
    rows.truncate(limit as usize);
    let next_cursor = rows.last().filter(|_| !is_last).map(|last| format!("{:016x}", last.place));
    let meta = DeliveryMeta { limit, count: rows.len(), next_cursor };
    Ok(Json(DeliveryList { data: rows.into_iter().map(Into::into).collect(), meta }))
}

/// What a cursor means.
fn place(word: &str) -> Result<i64, ApiError> {
    let is_ours = word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let place = i64::from_str_radix(word, 16).ok().filter(|_| is_ours);
    place.ok_or_else(|| {
        let why = "the cursor is not one of ours: use next_cursor of the page before";
        ApiError::bad_request(Code::InvalidQuery, why)
    })
}

fn refused(why: String) -> ApiError {
    ApiError::bad_request(Code::InvalidQuery, format!("the query string is not valid: {why}"))
}
