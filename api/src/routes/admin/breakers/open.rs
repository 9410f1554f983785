//! PUT /admin/breakers.

use axum::Json;
use axum::extract::State;
use spool_db::limits::breaker;

use super::body::{BreakerJson, OpenBreaker};
use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::json::ApiJson;
use crate::routes::admin::limits::body::{model, provider};
use crate::state::AppState;
use crate::validation::Invalid;

/// Holds a provider or a model back until the breaker is closed. What is bought already goes on; nothing fails.
#[utoipa::path(put, path = "/api/v3/admin/breakers", operation_id = "open_breaker", tag = "admin",
    request_body = OpenBreaker, responses((status = 200, body = BreakerJson)))]
pub async fn open(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(body): ApiJson<OpenBreaker>,
) -> Result<Json<BreakerJson>, ApiError> {
    let mut invalid = Invalid::default();
    let provider = provider(&mut invalid, body.provider);
    let model = model(&mut invalid, body.model);
    let why = invalid.required_text("why", body.why, 500);
    invalid.finish()?;
    let mut transaction = state.db.begin().await?;
    breaker::hold_open(&mut transaction, &provider, &model, &why).await?;
    let now = spool_db::limits::now(&mut transaction).await?;
    let open = breaker::open(&mut transaction, Some(&provider)).await?;
    commit(transaction).await?;
    tracing::warn!(by = caller.key_id, provider, model, why, "an operator holds it back");
    open.into_iter()
        .find(|open| open.model == model)
        .map(|open| Json(BreakerJson::of(open, now)))
        .ok_or_else(|| ApiError::internal(format!("the breaker of {model} that was just opened")))
}
