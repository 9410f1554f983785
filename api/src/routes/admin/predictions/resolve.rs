//! POST /admin/predictions/{id}/resolve.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use spool_db::predictions::doubt::{self, Resolution, Word};
use spool_db::{jobs, progress};
use spool_queue::{TaskId, control};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::caller::Caller;
use crate::database::commit;
use crate::error::{ApiError, Code};
use crate::extract::json::ApiJson;
use crate::extract::path::ApiPath;
use crate::state::AppState;
use crate::validation::Invalid;

#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"as": "submitted", "external_id": "kr2d2jhqbsrj60cjb2vtmekgh4"}))]
pub struct ResolvePrediction {
    /// `submitted`: it exists at the provider. `void`: it was never created; its money is free and another is bought.
    #[serde(rename = "as")]
    #[schema(rename = "as", required = true)]
    pub word: Option<String>,
    /// With `submitted`: the provider's id.
    pub external_id: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ResolvedPrediction {
    pub id: Uuid,
    /// `void`, or `in_doubt` until a worker has asked the provider about the id.
    pub state: &'static str,
    pub message: &'static str,
}

/// Takes an operator's word on a prediction in doubt. An id is checked with the provider by a worker before it is believed; what
/// came of that is an event of the job (`claim_accepted`, `claim_refused`).
#[utoipa::path(post, path = "/api/v3/admin/predictions/{id}/resolve", operation_id = "resolve_prediction", tag = "admin",
    params(("id" = Uuid, Path)), request_body = ResolvePrediction, responses(
    (status = 200, body = ResolvedPrediction, description = "It is void"),
    (status = 202, body = ResolvedPrediction, description = "A worker checks the id"),
    (status = 409, body = crate::error::Problem, description = "It is not in doubt; see `current_state`")))]
pub async fn resolve(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
    ApiJson(body): ApiJson<ResolvePrediction>,
) -> Result<(StatusCode, Json<ResolvedPrediction>), ApiError> {
    let external_id = body.external_id.unwrap_or_default();
    let word = word(body.word.as_deref(), external_id.trim())?;
    let unknown = || ApiError::not_found("prediction", id);
    let mut transaction = state.db.begin().await?;
    let job_id = doubt::job_of(&mut transaction, id).await?.ok_or_else(unknown)?;
    jobs::lock(&mut transaction, job_id).await?;
    let (status, answer, task_id) = match doubt::resolve(&mut transaction, id, &word, &caller.key_id).await? {
        Resolution::Void { task_id } => {
            let answer =
                ResolvedPrediction { id, state: "void", message: "nothing was bought; its money is free" };
            (StatusCode::OK, answer, task_id)
        }
        Resolution::Claimed { task_id } => {
            let message = "a worker asks the provider about this id; the job's events say what comes of it";
            (StatusCode::ACCEPTED, ResolvedPrediction { id, state: "in_doubt", message }, task_id)
        }
        Resolution::NotInDoubt(now) => {
            let why = format!("prediction {id} is {now}, not in doubt");
            return Err(ApiError::new(StatusCode::CONFLICT, Code::NotInDoubt, why)
                .with("current_state", now.as_str()));
        }
        Resolution::Unknown => return Err(unknown()),
    };
    let data = match word {
        Word::Void => json!({"prediction_id": id, "as": "void", "by": caller.key_id}),
        Word::Submitted(external_id) => {
            json!({"prediction_id": id, "as": "submitted", "external_id": external_id, "by": caller.key_id})
        }
    };
    progress::refresh(&mut transaction, job_id, "prediction_resolved", &data).await?;
    let woken = control::wake(&mut transaction, TaskId(task_id)).await.map_err(ApiError::internal)?;
    commit(transaction).await?;
    state.db.ring(woken.bell).await;
    tracing::warn!(prediction_id = %id, by = caller.key_id, outcome = ?body.word, "an operator's word on a prediction in doubt");
    Ok((status, Json(answer)))
}

fn word<'a>(given: Option<&str>, external_id: &'a str) -> Result<Word<'a>, ApiError> {
    let wrong = |field, sentence| Err(Invalid::only(field, sentence));
    match (given, external_id) {
        (Some("void"), "") => Ok(Word::Void),
        (Some("void"), _) => wrong("external_id", "only with as: submitted"),
        (Some("submitted"), "") => wrong("external_id", "can't be blank"),
        (Some("submitted"), id) if doubt::is_external_id(id) => Ok(Word::Submitted(id)),
        (Some("submitted"), _) => {
            wrong("external_id", "is no id of a provider: 200 letters and digits at most")
        }
        _ => wrong("as", "must be submitted or void"),
    }
}
