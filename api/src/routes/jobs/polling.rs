//! What a poll of one job finds: an answer that is kept, one narrow row, or all rows; and how it is told.

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use spool_db::predictions::memo;
use spool_db::{cancellation, job_mark, jobs, scenes};
use spool_job::state::JobState;
use uuid::Uuid;

use super::body::{Beside, JobJson};
use super::costs::Costs;
use super::poll_hint;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::feed::answers::{Answer, Made};
use crate::links::Links;
use crate::state::AppState;
use crate::{etag, metrics};

/// What a poll finds.
#[derive(Debug)]
pub struct Found {
    pub tag: HeaderValue,
    pub state: JobState,
    stage: String,
    /// None where the caller has it already.
    body: Option<Bytes>,
}

impl Found {
    /// Whether it is another answer than the one that the caller has.
    pub fn is_news(&self) -> bool {
        self.body.is_some()
    }
}

impl IntoResponse for Found {
    fn into_response(self) -> Response {
        // Room for those of the layers, too.
        let mut headers = HeaderMap::with_capacity(16);
        headers.insert(header::ETAG, self.tag);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        if let Some(seconds) = poll_hint::seconds(self.state, &self.stage) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(u16::from(seconds)));
        }
        let mut response = Response::default();
        match self.body {
            Some(body) => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                *response.body_mut() = Body::from(body);
            }
            None => *response.status_mut() = StatusCode::NOT_MODIFIED,
        }
        *response.headers_mut() = headers;
        response
    }
}

/// Looks at a job for a caller who may have an answer already.
pub async fn look(
    state: &AppState,
    caller: &Caller,
    id: i64,
    headers: &HeaderMap,
) -> Result<Found, ApiError> {
    let now = state.clock.now();
    let (key, vouched) = ((id, caller.client.is_none()), state.feed.is_live());
    let unknown = || ApiError::not_found("job", id).with("job_id", id);
    if headers.contains_key(header::IF_NONE_MATCH) {
        match state.feed.answers.head(key, vouched).filter(|answer| is_theirs(caller, answer.owner)) {
            Some(kept) => {
                let links_stand = kept.links_end == 0 || kept.links_end == links_end(now);
                if links_stand && etag::none_match(headers, &kept.tag) {
                    metrics::status_cache("hit");
                    return Ok(Found {
                        tag: kept.tag.clone(),
                        state: kept.state,
                        stage: kept.stage.clone(),
                        body: None,
                    });
                }
            }
            // Where nobody vouches, answers are not kept for long: then one narrow row is less than all of them.
            None if !vouched => {
                let mut conn = state.db.read().await?;
                let job = jobs::version(&mut conn, id, caller.client).await?.ok_or_else(unknown)?;
                let tag = tag(id, job.version, job.state, now);
                if etag::none_match(headers, &tag) {
                    metrics::status_cache("revalidated");
                    return Ok(Found { tag, state: job.state, stage: job.stage, body: None });
                }
            }
            None => {}
        }
    }
    let answer = state
        .feed
        .answers
        .get(key, vouched, links_end(now), |earlier| Box::pin(read(state, caller, id, now, earlier)))
        .await?
        .filter(|answer| is_theirs(caller, answer.owner))
        .ok_or_else(unknown)?;
    let is_known = etag::none_match(headers, &answer.tag);
    Ok(Found {
        tag: answer.tag.clone(),
        state: answer.state,
        stage: answer.stage.clone(),
        body: (!is_known).then(|| answer.body.clone()),
    })
}

/// The earlier answer if it still holds, else what all rows say, whosever job it is.
async fn read(
    state: &AppState,
    caller: &Caller,
    id: i64,
    now: DateTime<Utc>,
    earlier: Option<Arc<Answer>>,
) -> Made {
    let mut conn = state.db.read().await?;
    let Some(mark) = job_mark::of_job(&mut conn, id).await? else { return Ok(None) };
    if let Some(earlier) = earlier.filter(|earlier| earlier.mark == mark) {
        return Ok(Some(earlier));
    }
    // The job before its scenes: a change in between makes the body newer than its tag, so the next poll fetches
    // again; the other way round the old scenes would stay behind the new tag.
    let Some(job) = jobs::show(&mut conn, id, None).await? else { return Ok(None) };
    let scenes = scenes::list(&mut conn, id).await?;
    let costs = Costs::now(&mut conn, &job, caller).await?;
    let beside = Beside {
        reused: memo::of_job(&mut conn, id).await?,
        cancel_requested_at: cancellation::requested_at(&mut conn, id).await?,
    };
    let (owner, job_state, stage) = (job.client_id, job.state, job.stage.clone());
    let tag = tag(id, job.version, job.state, now);
    let body = JobJson::of(job, scenes, costs, &state.links, now).with(beside);
    let body = serde_json::to_vec(&body).map_err(ApiError::internal)?;
    Ok(Some(Arc::new(Answer {
        owner,
        state: job_state,
        stage,
        tag,
        links_end: if job_state == JobState::Completed { links_end(now) } else { 0 },
        mark,
        body: body.into(),
    })))
}

/// A bound key sees what is its client's.
fn is_theirs(caller: &Caller, owner: Option<Uuid>) -> bool {
    caller.client.is_none() || caller.client == owner
}

fn links_end(now: DateTime<Utc>) -> i64 {
    Links::expiry(now).timestamp()
}

/// The row's version; a completed job's body holds links that end, so their end is part of the tag.
pub fn tag(id: i64, version: i64, state: JobState, now: DateTime<Utc>) -> HeaderValue {
    let links = if state == JobState::Completed { links_end(now) } else { 0 };
    etag::strong(&format!("{id}-{version}-{links:x}")).unwrap_or(HeaderValue::from_static("\"\""))
}
