//! POST /jobs/{id}/retry.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Value};
use spool_job::money::Micros;
use utoipa::ToSchema;

use super::retry_plan::{RetriedJob, Retry, retry, within};
use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::json::{OptionalJson, from_object};
use crate::extract::path::ApiPath;
use crate::state::AppState;

/// All of it may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"dry_run": true, "max_cost_micros": 500_000}))]
pub struct RetryJob {
    /// Only say what would be bought and what is kept.
    #[serde(default)]
    pub dry_run: bool,
    /// Do nothing if more would be bought than this.
    #[schema(minimum = 0)]
    pub max_cost_micros: Option<i64>,
}

/// Tries a job that failed or was canceled again, as a new revision: what it had bought is kept, only what is missing is paid for.
/// A second call finds it running.
#[utoipa::path(post, path = "/api/v3/jobs/{id}/retry", operation_id = "retry_job", tag = "jobs",
    params(("id" = i64, Path)), request_body = Option<RetryJob>, responses((status = 200, body = RetriedJob),
    (status = 409, body = crate::error::Problem, description = "It has not ended; see `current_status`"),
    (status = 422, body = crate::error::Problem, description = "It cannot be tried again, or would cost more than allowed")))]
pub async fn retry_job(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<i64>,
    OptionalJson(body): OptionalJson<Map<String, Value>>,
) -> Result<Json<RetriedJob>, ApiError> {
    let body: RetryJob = from_object(body)?;
    let mut transaction = state.db.begin().await?;
    let Retry { job, bell } = retry(&mut transaction, id, &state, &caller, body.dry_run).await?;
    if body.dry_run {
        return Ok(Json(job));
    }
    within(body.max_cost_micros, Micros(job.buys.micros))?;
    commit(transaction).await?;
    state.db.ring(bell).await;
    tracing::info!(
        job_id = id,
        revision = job.revision,
        buys_micros = job.buys.micros,
        by = caller.key_id,
        "tried again"
    );
    Ok(Json(job))
}
