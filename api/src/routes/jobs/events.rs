//! GET /jobs/{id}/events: what happened to a job and what happens now, as a stream of server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use futures::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use spool_db::events::{self, JobEvent};
use spool_db::jobs;
use spool_job::state::JobState;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

use crate::caller::Caller;
use crate::error::{ApiError, Code};
use crate::extract::path::ApiPath;
use crate::extract::query::ApiQuery;
use crate::feed::changes::Subscription;
use crate::metrics::OpenStream;
use crate::state::AppState;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Events of one look.
const BATCH: i64 = 500;
/// A comment after so much silence shows all between us that the stream lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How soon a client that was cut off comes back.
const COME_BACK: Duration = Duration::from_secs(2);
/// Then the client comes back, and its key is looked at again.
const LONGEST: Duration = Duration::from_secs(3600);

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// The same as the header `last-event-id`, for clients that cannot send it; the header wins.
    pub last_event_id: Option<String>,
}

// Axum writes its lines; the document says what they are.
/// One message of the stream, by its lines.
#[derive(Debug, ToSchema)]
pub struct EventMessage {
    /// Number of the event; send the last one as `last-event-id`.
    pub id: Option<String>,
    /// `message` when there is no such line: `data` is an `EventJson`. `done` after the end of the job: `data` is an `EventsDone`.
    pub event: Option<String>,
    /// JSON.
    #[schema(content_media_type = "application/json")]
    pub data: String,
    /// After how many milliseconds a client that was cut off comes back.
    pub retry: Option<u32>,
}

/// The data of the last message of a stream.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventsDone {
    pub job_id: i64,
    /// How the job ended.
    #[schema(value_type = String)]
    pub status: JobState,
}

/// The data of one event; `id:` is its number.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventJson {
    pub job_id: i64,
    /// Counts up per job, from 1, without gaps.
    pub seq: i64,
    pub at: DateTime<Utc>,
    /// One word for what happened, such as `approved` or `render_collected`.
    #[serde(rename = "type")]
    #[schema(rename = "type")]
    pub kind: String,
    /// Where the job stood then (`state`, `stage`, `percent`) and what the word is about.
    #[schema(value_type = Object)]
    pub data: Value,
}

/// Streams what happened to a job, from its beginning or after `last-event-id`, and goes on with what happens. Each event is a message
/// without a name whose data is an `EventJson`. After the end of the job comes `event: done` and the stream ends; a client that comes
/// back then gets 204, which tells browsers to stop. A comment every 15 seconds keeps the connection alive.
#[utoipa::path(get, path = "/api/v3/jobs/{id}/events", operation_id = "stream_job_events", tag = "jobs",
    params(("id" = i64, Path), EventsQuery,
        ("last-event-id" = Option<String>, Header, description = "Number of the last event that was seen")),
    responses((status = 200, body = EventMessage, content_type = "text/event-stream", description = "The events"),
        (status = 204, description = "The job has ended and all its events were seen")))]
pub async fn stream(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<i64>,
    ApiQuery(query): ApiQuery<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let given = headers.get(&LAST_EVENT_ID).map(|value| value.to_str().unwrap_or("?").to_owned());
    let after = last_seen(given.or(query.last_event_id).as_deref())?;
    let permit = Arc::clone(&state.feed.streams).try_acquire_owned().map_err(|_| {
        let why = "too many streams are open here just now; poll the job, or try again";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, why)
            .with_header(header::RETRY_AFTER, HeaderValue::from_static("5"))
    })?;
    // Before the first look: what happens in between is heard of.
    let changes = state.feed.changes.subscribe(id);
    let mut tail = Tail {
        state,
        caller,
        job: id,
        after,
        changes,
        found: VecDeque::new(),
        more: false,
        stage: Stage::Following,
        end: Instant::now() + LONGEST,
        _open: (permit, OpenStream::new("events")),
    };
    let job = tail.look().await?.ok_or_else(|| ApiError::not_found("job", id).with("job_id", id))?;
    if job.is_final() && tail.found.is_empty() && after > 0 {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let hello = Event::default().retry(COME_BACK).comment("events follow");
    let events = stream::unfold((Some(hello), tail), |(hello, mut tail)| async move {
        let event = match hello {
            Some(hello) => hello,
            None => tail.next().await?,
        };
        Some((Ok::<_, Infallible>(event), (None, tail)))
    });
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    // Proxies that collect answers would hold the events back.
    response
        .headers_mut()
        .insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

fn last_seen(given: Option<&str>) -> Result<i64, ApiError> {
    let Some(given) = given.map(str::trim).filter(|given| !given.is_empty()) else { return Ok(0) };
    given.parse().ok().filter(|seq| *seq >= 0).ok_or_else(|| {
        ApiError::bad_request(Code::InvalidQuery, "last-event-id must be the number of an event of this job")
    })
}

/// One open stream.
struct Tail {
    state: AppState,
    caller: Caller,
    job: i64,
    /// The last event that was handed out.
    after: i64,
    changes: Subscription,
    found: VecDeque<JobEvent>,
    /// There may be more than was found.
    more: bool,
    stage: Stage,
    end: Instant,
    _open: (OwnedSemaphorePermit, OpenStream),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Following,
    /// The job has ended; what was found is the rest.
    Ending(JobState),
    Over,
}

impl Tail {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.found.pop_front() {
                self.after = event.seq;
                return Some(message(self.job, event));
            }
            match self.stage {
                Stage::Over => return None,
                Stage::Ending(state) => {
                    self.stage = Stage::Over;
                    let done = EventsDone { job_id: self.job, status: state };
                    return Event::default().event("done").json_data(done).ok();
                }
                Stage::Following => {}
            }
            if self.state.feed.closing.is_cancelled() || Instant::now() >= self.end {
                return None;
            }
            if !self.more {
                tokio::select! {
                    () = self.changes.changed() => {}
                    () = tokio::time::sleep(self.state.feed.tick()) => {}
                    () = self.state.feed.closing.cancelled() => return None,
                }
            }
            // The client comes back by itself, and says what it has seen.
            self.look().await.ok().flatten()?;
        }
    }

    /// Finds what happened after what was handed out, and says where the job stands; `None` when it is not theirs (any more).
    async fn look(&mut self) -> Result<Option<JobState>, ApiError> {
        let mut conn = self.state.db.read().await?;
        // The state first: an end that is seen has all its events written.
        let Some(job) = jobs::version(&mut conn, self.job, self.caller.client).await? else {
            return Ok(None);
        };
        self.found = events::after(&mut conn, self.job, self.after, BATCH).await?.into();
        self.more = self.found.len() as i64 == BATCH;
        if job.state.is_final() && !self.more {
            self.stage = Stage::Ending(job.state);
        }
        Ok(Some(job.state))
    }
}

fn message(job_id: i64, event: JobEvent) -> Event {
    let JobEvent { seq, at, kind, data } = event;
    let body = EventJson { job_id, seq, at, kind, data };
    let message = Event::default().id(seq.to_string());
    message.json_data(body).unwrap_or_else(|_| Event::default().id(seq.to_string()))
}
