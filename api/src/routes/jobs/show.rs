//! GET /jobs/{id}: what is asked most. Conditional reads touch one narrow row.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use spool_db::predictions::memo;
use spool_db::{cancellation, jobs, scenes};
use spool_job::state::JobState;

use super::body::{Beside, JobJson};
use super::costs::Costs;
use super::poll_hint;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::etag;
use crate::extract::path::ApiPath;
use crate::links::Links;
use crate::state::AppState;

/// Shows a job. `retry-after` says when to ask again; a job that has ended has none.
#[utoipa::path(get, path = "/api/v3/jobs/{id}", operation_id = "show_job", tag = "jobs",
    params(("id" = i64, Path), ("if-none-match" = Option<String>, Header, description = "The `etag` of the last answer")),
    responses(
        (status = 200, body = JobJson, headers(("etag" = String, description = "Changes with every visible change"),
            ("retry-after" = u8, description = "Seconds until it is worth asking again"))),
        (status = 304, description = "Nothing changed since the answer with that `etag`")))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<i64>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let now = state.clock.now();
    let unknown = || ApiError::not_found("job", id).with("job_id", id);
    let mut conn = state.db.read().await?;
    if headers.contains_key(header::IF_NONE_MATCH) {
        let job = jobs::version(&mut conn, id, caller.client).await?.ok_or_else(unknown)?;
        let tag = tag(id, job.version, job.state, now);
        if etag::none_match(&headers, &tag) {
            return Ok((StatusCode::NOT_MODIFIED, headers_of(tag, job.state, &job.stage)).into_response());
        }
    }
    // The job before its scenes: a change in between makes the body newer than its tag, so the next poll fetches
    // again; the other way round the old scenes would stay behind the new tag.
    let job = jobs::show(&mut conn, id, caller.client).await?.ok_or_else(unknown)?;
    let scenes = scenes::list(&mut conn, id).await?;
    let costs = Costs::now(&mut conn, &job, &caller).await?;
    let beside = Beside {
        reused: memo::of_job(&mut conn, id).await?,
        cancel_requested_at: cancellation::requested_at(&mut conn, id).await?,
    };
    let headers = headers_of(tag(id, job.version, job.state, now), job.state, &job.stage);
    Ok((headers, Json(JobJson::of(job, scenes, costs, &state.links, now).with(beside))).into_response())
}

/// The row's version; a completed job's body holds links that end, so their end is part of the tag.
fn tag(id: i64, version: i64, state: JobState, now: DateTime<Utc>) -> HeaderValue {
    let links = if state == JobState::Completed { Links::expiry(now).timestamp() } else { 0 };
    etag::strong(&format!("{id}-{version}-{links:x}")).unwrap_or(HeaderValue::from_static("\"\""))
}

fn headers_of(tag: HeaderValue, state: JobState, stage: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, tag);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Some(seconds) = poll_hint::seconds(state, stage) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(u16::from(seconds)));
    }
    headers
}
