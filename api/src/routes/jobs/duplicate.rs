//! POST /jobs/{id}/duplicate.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde_json::{Value, json};
use spool_db::job_creation::{self, NewJob, NewRows};
use spool_db::scenes::SceneRow;
use spool_db::{budgets, jobs, scenes};
use spool_job::estimate;
use spool_job::storyboard::{PlannedScene, Storyboard};
use sqlx::PgConnection;

use super::body::CreatedJob;
use super::creation::Created;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::{ApiError, Code};
use crate::extract::path::ApiPath;
use crate::state::AppState;

/// Creates a job like this one: the same wishes and the storyboard as it stands, at today's prices. Nothing is spent before it is
/// approved, and what the first one has bought is used again unless its wishes say otherwise.
#[utoipa::path(post, path = "/api/v3/jobs/{id}/duplicate", operation_id = "duplicate_job", tag = "jobs",
    params(("id" = i64, Path)), responses((status = 201, body = CreatedJob),
    (status = 422, body = crate::error::Problem, description = "Its campaign is gone, or its model is no longer offered")))]
pub async fn duplicate(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<i64>,
) -> Result<(StatusCode, Json<CreatedJob>), ApiError> {
    let mut transaction = state.db.begin().await?;
    let (created, clip_duration, num_pairs) = copy(&mut transaction, id, &state, &caller).await?;
    commit(transaction).await?;
    let body = CreatedJob { clip_duration, num_pairs, ..CreatedJob::of(created, &caller) };
    Ok((StatusCode::CREATED, Json(body)))
}

/// The copy, the length of its first shot in seconds, and how many pairs were asked for.
async fn copy(
    conn: &mut PgConnection,
    id: i64,
    state: &AppState,
    caller: &Caller,
) -> Result<(Created, f64, Option<usize>), ApiError> {
    let original = jobs::show(conn, id, caller.client)
        .await?
        .ok_or_else(|| ApiError::not_found("job", id).with("job_id", id))?;
    let refused = |why: String| ApiError::unprocessable(Code::JobCreationFailed, why).with("job_id", id);
    let campaign_id = original
        .campaign_id
        .ok_or_else(|| refused(format!("the campaign of job {id} is gone, and its photos with it")))?;
    let storyboard = storyboard(scenes::list(conn, id).await?);
    let learned = state.recent.learned(conn).await?;
    let estimate = estimate::job(&original.spec, &storyboard, state.clock.now().date_naive())
        .map_err(|error| refused(error.to_string()))?
        .with_learned(|model, unit| learned.p95_permille(model, unit));
    let mut parameters = original.parameters;
    if let Value::Object(parameters) = &mut parameters {
        parameters.insert("duplicate_of".to_owned(), json!(id));
    }
    let pairs = parameters.get("num_pairs").and_then(Value::as_u64).map(|pairs| pairs as usize);
    let new = NewJob {
        kind: original.kind.parse().map_err(ApiError::internal)?,
        campaign_id,
        parameters,
        spec: original.spec,
        storyboard,
        estimate,
        created_by: Some(caller.key_id.clone()),
    };
    let gone = || refused(format!("the campaign of job {id} is gone, and its photos with it"));
    let budgets = budgets::applying(conn, original.client_id, Some(campaign_id), None).await?;
    let NewRows { job, scenes } = job_creation::create(conn, new).await?.ok_or_else(gone)?;
    let clip = scenes.first().map_or(0.0, |scene| f64::from(scene.duration_ms) / 1000.0);
    let used = scenes.iter().map(|scene| 1 + usize::from(scene.last_asset_id.is_some())).sum();
    Ok((Created { job, scenes, budgets, total_assets: used }, clip, pairs))
}

/// The scenes as they stand, as if they had just been planned.
pub fn storyboard(scenes: Vec<SceneRow>) -> Storyboard {
    let planned = |scene: SceneRow| PlannedScene {
        title: scene.title,
        description: scene.description,
        scene_type: scene.scene_type,
        prompt: scene.prompt,
        music_prompt: scene.music_prompt,
        duration_ms: scene.duration_ms.unsigned_abs(),
        first_asset_id: scene.first_asset_id,
        last_asset_id: scene.last_asset_id,
    };
    Storyboard { scenes: scenes.into_iter().map(planned).collect() }
}
