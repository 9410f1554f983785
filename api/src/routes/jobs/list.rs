//! GET /jobs: pages of jobs, newest first.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use spool_db::job_list::{self, JobFilter, ListedJob};
use spool_job::estimate::Estimate;
use spool_job::spec::JobKind;
use spool_job::state::{JobState, UnknownName};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::caller::Caller;
use crate::cursor::Cursor;
use crate::error::{ApiError, Code};
use crate::extract::query::ApiQuery;
use crate::links::Links;
use crate::routes::jobs::costs::Costs;
use crate::routes::jobs::words::{JobStatus, JobType};
use crate::state::AppState;

const USUAL: i64 = 25;
const MOST: i64 = 200;
const LONGEST_TEXT: usize = 200;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// How many jobs, 1 to 200, 25 when left out.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<i64>,
    /// `next_cursor` of the page before, with the same filters.
    pub cursor: Option<String>,
    /// Only jobs in these states, separated by commas.
    #[param(example = "approved,processing")]
    pub state: Option<String>,
    /// The same, as jobs call it.
    pub status: Option<String>,
    /// Only jobs of these kinds, separated by commas: `image_pairs`, `property_photos`.
    pub kind: Option<String>,
    /// The same, as jobs call it.
    #[serde(rename = "type")]
    pub job_type: Option<String>,
    pub client_id: Option<Uuid>,
    pub campaign_id: Option<Uuid>,
    /// Only jobs with this in their name, their error, or the title or prompt of a scene, or with this number. It is looked for in the
    /// newest 10,000 jobs that the rest of the filter leaves.
    pub q: Option<String>,
    /// Only jobs asked for at or after this.
    pub from: Option<DateTime<Utc>>,
    /// Only jobs asked for before this.
    pub to: Option<DateTime<Utc>>,
}

/// A job as lists show it; `GET /jobs/{id}` shows all of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobSummary {
    pub job_id: i64,
    /// `image_pairs` or `property_photos`.
    #[serde(rename = "type")]
    #[schema(rename = "type", value_type = JobType)]
    pub kind: String,
    /// `planning`, `pending`, `approved`, `processing`, `completed`, `failed` or `canceled`.
    #[schema(value_type = JobStatus)]
    pub status: String,
    pub video_name: String,
    pub client_id: Option<Uuid>,
    pub campaign_id: Option<Uuid>,
    pub revision: i32,
    pub scene_count: i64,
    /// Dollars.
    pub estimated_cost: f64,
    /// Dollars that were spent.
    pub settled_cost: f64,
    /// The estimate with its arithmetic, and what is held and spent; the budgets and what was reused stand in `GET /jobs/{id}`.
    pub costs: Costs,
    /// 0 to 100.
    pub progress_percentage: i16,
    pub current_stage: String,
    /// Why it waits although it is approved.
    pub parked: Option<String>,
    pub parked_reason: Option<String>,
    pub partial: bool,
    pub error_code: Option<String>,
    pub error: Option<String>,
    /// A signed link to the video, once it is completed.
    pub video_url: Option<String>,
    /// A signed link to a frame of it.
    pub thumbnail_url: Option<String>,
    pub inserted_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub approved_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
}

impl JobSummary {
    fn of(job: ListedJob, caller: &Caller, links: &Links, now: DateTime<Utc>) -> Result<Self, ApiError> {
        let done = job.state == JobState::Completed.as_str();
        let money = job.money();
        let estimate: Estimate = serde_json::from_value(job.estimate).map_err(ApiError::internal)?;
        let costs = Costs::of(&estimate, money, Vec::new(), caller);
        Ok(Self {
            video_url: (done && job.has_video).then(|| links.video(job.id, now)),
            thumbnail_url: (done && job.has_thumbnail).then(|| links.video_thumbnail(job.id, now)),
            estimated_cost: costs.estimated,
            settled_cost: costs.settled,
            costs,
            job_id: job.id,
            kind: job.kind,
            status: job.state,
            video_name: job.video_name,
            client_id: job.client_id,
            campaign_id: job.campaign_id,
            revision: job.revision,
            scene_count: job.scenes,
            progress_percentage: job.progress_percent,
            current_stage: job.stage,
            parked: job.parked,
            parked_reason: job.parked_why,
            partial: job.partial,
            error_code: job.error_code,
            error: job.error,
            inserted_at: job.inserted_at,
            updated_at: job.updated_at,
            approved_at: job.approved_at,
            finished_at: job.finished_at,
        })
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct JobList {
    pub data: Vec<JobSummary>,
    pub meta: CursorMeta,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CursorMeta {
    pub limit: i64,
    /// Jobs of this page.
    pub count: usize,
    /// For the next page; none when this is the last.
    pub next_cursor: Option<String>,
}

/// Lists jobs, newest first. Pages are turned by cursor: jobs that come meanwhile shift nothing.
#[utoipa::path(get, path = "/api/v3/jobs", operation_id = "list_jobs", tag = "jobs",
    params(ListQuery), responses((status = 200, body = JobList)))]
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Json<JobList>, ApiError> {
    let limit = query.limit.unwrap_or(USUAL).clamp(1, MOST);
    let place = query.cursor.as_deref().map(Cursor::read).transpose()?.map(|cursor| cursor.0);
    let filter = filter(query, &caller)?;
    // One more than is shown says whether there is another page.
    let mut jobs = job_list::after(&mut *state.db.read().await?, &filter, place, limit + 1).await?;
    let is_last = jobs.len() as i64 <= limit;
    jobs.truncate(limit as usize);
    let next_cursor = jobs.last().filter(|_| !is_last).map(|last| Cursor::after(last).to_string());
    let now = state.clock.now();
    let data: Result<Vec<JobSummary>, ApiError> =
        jobs.into_iter().map(|job| JobSummary::of(job, &caller, &state.links, now)).collect();
    let data = data?;
    Ok(Json(JobList { meta: CursorMeta { limit, count: data.len(), next_cursor }, data }))
}

fn filter(query: ListQuery, caller: &Caller) -> Result<JobFilter, ApiError> {
    let text = query.q.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if text.as_ref().is_some_and(|text| text.chars().count() > LONGEST_TEXT) {
        return Err(refused(format!("q should be at most {LONGEST_TEXT} characters")));
    }
    Ok(JobFilter {
        owner: caller.client,
        client: query.client_id,
        campaign: query.campaign_id,
        job: None,
        states: words("state", query.state.or(query.status), |word| word.parse().map(JobState::as_str))?,
        kinds: words("kind", query.kind.or(query.job_type), |word| word.parse().map(JobKind::as_str))?,
        text,
        from: query.from,
        to: query.to,
    })
}

/// Words separated by commas, each a known one.
fn words(
    field: &str,
    given: Option<String>,
    known: impl Fn(&str) -> Result<&'static str, UnknownName>,
) -> Result<Vec<&'static str>, ApiError> {
    let given = given.unwrap_or_default();
    let words = given.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(|word| known(word).map_err(|error| refused(format!("{field}: {error}")))).collect()
}

fn refused(why: String) -> ApiError {
    ApiError::bad_request(Code::InvalidQuery, format!("the query string is not valid: {why}"))
}
