//! POST /jobs/retry: all dead jobs that a filter finds, with the price first.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use spool_db::revisions::{self, Dead};
use spool_job::money::Micros;
use utoipa::ToSchema;
use uuid::Uuid;

use super::retry_plan::{RetriedJob, Retry, retry, within};
use crate::caller::Caller;
use crate::database::{commit, roll_back};
use crate::error::{ApiError, Code};
use crate::extract::json::{OptionalJson, from_object};
use crate::routes::admin::budgets::body::Amount;
use crate::state::AppState;
use crate::validation::Invalid;

const USUAL_JOBS: i64 = 100;
/// Most jobs of one call: each is a transaction of its own.
const MOST_JOBS: i64 = 500;

/// Which jobs, and whether it is meant.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"error_code": "scene_failed", "from": "2026-11-21T00:00:00Z", "dry_run": true}))]
pub struct RetryJobs {
    /// `failed` (when left out) or `canceled`.
    #[schema(pattern = "^(failed|canceled)$")]
    pub state: Option<String>,
    pub client_id: Option<Uuid>,
    pub campaign_id: Option<Uuid>,
    /// Only jobs that failed with this `error_code`.
    pub error_code: Option<String>,
    /// Only jobs that ended at or after this.
    pub from: Option<DateTime<Utc>>,
    /// Only jobs that ended before this.
    pub to: Option<DateTime<Utc>>,
    /// At most so many, 1 to 500, default 100; the longest dead first.
    #[schema(minimum = 1, maximum = 500)]
    pub limit: Option<i64>,
    /// Only say what would be bought. True unless told otherwise.
    pub dry_run: Option<bool>,
    /// Do nothing if more would be bought than this.
    #[schema(minimum = 0)]
    pub max_cost_micros: Option<i64>,
}

/// What was tried again, or would be.
#[derive(Debug, Serialize, ToSchema)]
pub struct RetriedJobs {
    pub dry_run: bool,
    /// Jobs that the filter finds in all.
    pub matched: i64,
    /// Those of them that this call is about.
    pub data: Vec<RetriedJob>,
    /// Those that cannot be tried again just now, and why.
    pub skipped: Vec<SkippedJob>,
    /// What all of them will buy.
    pub buys: Amount,
    /// What all of them had bought before and use again for nothing.
    pub keeps: Amount,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SkippedJob {
    pub job_id: i64,
    pub code: Code,
    pub reason: String,
}

/// Tries all failed jobs that a filter finds again. It is a dry run unless `dry_run` is false: what would be bought, in dollars per
/// job and in all, and what is used again for nothing. Each job is tried again as by `/jobs/{id}/retry`, in a transaction of its
/// own: a call that is cut off can be repeated.
#[utoipa::path(post, path = "/api/v3/jobs/retry", operation_id = "retry_jobs", tag = "jobs",
    request_body = Option<RetryJobs>, responses((status = 200, body = RetriedJobs)))]
pub async fn retry_many(
    State(state): State<AppState>,
    caller: Caller,
    OptionalJson(body): OptionalJson<Map<String, Value>>,
) -> Result<Json<RetriedJobs>, ApiError> {
    let body: RetryJobs = from_object(body)?;
    let limit = body.limit.unwrap_or(USUAL_JOBS);
    let mut invalid = Invalid::default();
    if !(1..=MOST_JOBS).contains(&limit) {
        invalid.add("limit", format!("must be between 1 and {MOST_JOBS}"));
    }
    if !matches!(body.state.as_deref(), None | Some("failed" | "canceled")) {
        invalid.add("state", "must be failed or canceled");
    }
    invalid.finish()?;
    let which = Dead {
        client: caller.claim_client(body.client_id)?,
        campaign: body.campaign_id,
        canceled: body.state.as_deref() == Some("canceled"),
        error_code: body.error_code,
        from: body.from,
        to: body.to,
    };
    let dry_run = body.dry_run.unwrap_or(true);
    if !dry_run {
        // The same request again would find nothing left to try: whether its key was used is asked first.
        roll_back(state.db.begin().await?).await?;
    }
    let (ids, matched) = revisions::dead(&mut *state.db.read().await?, &which, limit).await?;
    let mut answer = each(&state, &caller, &ids, matched, true).await?;
    if !dry_run {
        within(body.max_cost_micros, Micros(answer.buys.micros))?;
        answer = each(&state, &caller, &ids, matched, false).await?;
        tracing::info!(
            count = answer.data.len(),
            buys_micros = answer.buys.micros,
            by = caller.key_id,
            "tried again"
        );
    }
    Ok(Json(answer))
}

async fn each(
    state: &AppState,
    caller: &Caller,
    ids: &[i64],
    matched: i64,
    dry_run: bool,
) -> Result<RetriedJobs, ApiError> {
    let (mut data, mut skipped) = (Vec::with_capacity(ids.len()), Vec::new());
    for id in ids {
        let mut transaction = state.db.begin().await?;
        match retry(&mut transaction, *id, state, caller, dry_run).await {
            Ok(Retry { job, bell }) => {
                if dry_run {
                    roll_back(transaction).await?;
                } else {
                    commit(transaction).await?;
                    state.db.ring(bell).await;
                    // The path names no job: whoever looks next sees it running.
                    state.feed.heard(*id);
                }
                data.push(job);
            }
            Err(error) if error.status().is_server_error() => return Err(error),
            Err(error) => {
                roll_back(transaction).await?;
                skipped.push(SkippedJob {
                    job_id: *id,
                    code: error.code(),
                    reason: error.detail().to_owned(),
                });
            }
        }
    }
    let buys: Micros = data.iter().map(|job: &RetriedJob| Micros(job.buys.micros)).sum();
    let keeps: Micros = data.iter().map(|job| Micros(job.keeps.micros)).sum();
    Ok(RetriedJobs { dry_run, matched, data, skipped, buys: buys.into(), keeps: keeps.into() })
}
