//! GET /jobs/{id}/explain.

use axum::Json;
use axum::extract::State;
use spool_explain::{ExplainError, Explanation};

use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::state::AppState;

/// Explains why a job stands where it stands: for each task the gates that it has not passed, its place in the queue, and
/// when it will probably start and end; one sentence for people each.
#[utoipa::path(get, path = "/api/v3/jobs/{id}/explain", operation_id = "explain_job", tag = "jobs",
    params(("id" = i64, Path)),
    responses((status = 200, body = Explanation, examples(
        ("money" = (summary = "Waits for money", value = json!({
            "job_id": 17, "status": "processing",
            "sentence": "Waits for money: $1.60 would pass the daily limit of $150.00 by $0.40; goes on when the day turns at 00:00 UTC or the limit is raised.",
            "at": "2026-11-21T10:15:00Z",
            "gates": [{"gate": "budget", "scope": "all", "scope_id": "", "period": "day", "hard_micros": 150_000_000,
                       "wanted_micros": 1_600_000, "missing_micros": 400_000, "turns_at": "2026-11-22T00:00:00Z"}],
            "estimated_end": {"early": "2026-11-22T00:01:51Z", "late": null, "basis": {"from": "history", "runs": 38},
                              "reason": "other purchases that wait for the same money may go first"},
            "first_failure": null, "request_id": "0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8e", "trace_id": null,
            "tasks": [
                {"task_id": 201, "kind": "render", "queue": "predict", "scene": 1, "state": "parked", "attempt": 1,
                 "sentence": "Render of scene 1 waits for money: $1.60 would pass the daily limit of $150.00 by $0.40; goes on when the day turns at 00:00 UTC or the limit is raised.",
                 "gates": [{"gate": "budget", "scope": "all", "scope_id": "", "period": "day", "hard_micros": 150_000_000,
                            "wanted_micros": 1_600_000, "missing_micros": 400_000, "turns_at": "2026-11-22T00:00:00Z"}],
                 "position": {"line": "money", "ahead": 0, "order": "age"},
                 "estimated_start": {"early": "2026-11-22T00:00:00Z", "late": null, "basis": null,
                                     "reason": "other purchases that wait for the same money may go first"},
                 "estimated_end": {"early": "2026-11-22T00:01:30Z", "late": null, "basis": {"from": "history", "runs": 38},
                                   "reason": "other purchases that wait for the same money may go first"}},
                {"task_id": 202, "kind": "stitch", "queue": "ffmpeg", "scene": null, "state": "blocked", "attempt": 0,
                 "sentence": "Stitch waits for render of scene 1 (parked).",
                 "gates": [{"gate": "parents", "tasks": [{"task_id": 201, "kind": "render", "scene": 1, "state": "parked"}]}],
                 "position": null,
                 "estimated_start": {"early": "2026-11-22T00:01:35Z", "late": null, "basis": null,
                                     "reason": "other purchases that wait for the same money may go first"},
                 "estimated_end": {"early": "2026-11-22T00:01:40Z", "late": null, "basis": {"from": "history", "runs": 41},
                                   "reason": "other purchases that wait for the same money may go first"}}]}))),
        ("approval" = (summary = "Waits for approval", value = json!({
            "job_id": 18, "status": "pending",
            "sentence": "Waits for approval: nothing is spent before; it is thought to cost $1.73.",
            "at": "2026-11-21T10:15:00Z",
            "gates": [{"gate": "approval", "estimate_micros": 1_730_000}],
            "estimated_end": {"early": null, "late": null, "basis": null, "reason": "it waits for approval"},
            "first_failure": null, "request_id": null, "trace_id": null, "tasks": []}))),
    ))))]
pub async fn explain(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<i64>,
) -> Result<Json<Explanation>, ApiError> {
    let mut conn = state.db.read().await?;
    let found = spool_explain::explain(&mut conn, id, caller.client).await.map_err(|error| match error {
        ExplainError::Db(error) => error.into(),
        ExplainError::Queue(error) => ApiError::internal(error),
    })?;
    found.map(Json).ok_or_else(|| ApiError::not_found("job", id).with("job_id", id))
}
