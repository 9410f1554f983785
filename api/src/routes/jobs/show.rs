//! GET /jobs/{id}: what is asked most.

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde::Deserialize;
use utoipa::IntoParams;

use super::body::JobJson;
use super::long_poll;
use super::polling::look;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::extract::query::ApiQuery;
use crate::metrics::Held;
use crate::state::AppState;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ShowQuery {
    /// Hold the answer until the job changes from the answer of `if-none-match` (or, without one, from now on), but not for longer
    /// than this: `30s`, `1500ms` or seconds, up to 60.
    #[param(example = "30s")]
    pub wait: Option<String>,
}

/// Shows a job. `retry-after` says when to ask again; a job that has ended has none. With `wait` the answer comes when there is news.
/// Answers may be kept for a moment, never for a second; what the budgets leave may be a second old as well.
#[utoipa::path(get, path = "/api/v3/jobs/{id}", operation_id = "show_job", tag = "jobs",
    params(("id" = i64, Path), ShowQuery, ("if-none-match" = Option<String>, Header, description = "The `etag` of the last answer")),
    responses(
        (status = 200, body = JobJson, headers(("etag" = String, description = "Changes with every visible change"),
            ("retry-after" = u8, description = "Seconds until it is worth asking again"))),
        (status = 304, description = "Nothing changed since the answer with that `etag`")))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<i64>,
    ApiQuery(query): ApiQuery<ShowQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let wait = long_poll::parse(query.wait.as_deref())?;
    if wait.is_zero() {
        return Ok(look(&state, &caller, id, &headers).await?.into_response());
    }
    let found = Box::pin(long_poll::hold(&state, &caller, id, &headers, wait)).await?;
    Ok((Extension(Held), found).into_response())
}
