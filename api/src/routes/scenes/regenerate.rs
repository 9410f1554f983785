//! POST /jobs/{id}/scenes/{scene_id}/regenerate.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use spool_db::storyboard::SceneEdit;
use spool_db::{revisions, scenes};
use spool_job::money::Micros;
use spool_job::state::JobState;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::SceneJson;
use super::edit;
use super::update::{LONGEST_DESCRIPTION, LONGEST_PROMPT};
use crate::caller::Caller;
use crate::database::commit;
use crate::error::{ApiError, Code};
use crate::extract::json::{OptionalJson, from_object};
use crate::extract::path::ApiPath;
use crate::routes::jobs::costs::Costs;
use crate::routes::jobs::retry_plan::{RetriedJob, Retry, go_on, within};
use crate::state::AppState;
use crate::validation::Invalid;

/// All of it may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"prompt": "The same room at dusk, lamps lit", "max_cost_micros": 500_000}))]
pub struct RegenerateScene {
    /// What should be seen instead.
    #[schema(min_length = 1, max_length = 2000)]
    pub prompt: Option<String>,
    #[schema(max_length = 5000)]
    pub description: Option<String>,
    /// Only say what would be bought and what is kept.
    #[serde(default)]
    pub dry_run: bool,
    /// Do nothing if more would be bought than this.
    #[schema(minimum = 0)]
    pub max_cost_micros: Option<i64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RegeneratedScene {
    pub message: &'static str,
    /// Its new version; in a dry run, as it would be.
    pub scene: SceneJson,
    pub job_id: i64,
    /// The new revision of the job: what is bought for it and what is kept.
    pub purchase: RetriedJob,
}

/// Makes a new clip of a scene after the end of its job: a new version of the scene in a new revision of the job, which is approved with
/// this call. All other clips and the music are kept; what else the job lacks is bought too. Ask for the price first with `dry_run`.
#[utoipa::path(post, path = "/api/v3/jobs/{id}/scenes/{scene_id}/regenerate", operation_id = "regenerate_scene", tag = "scenes",
    params(("id" = i64, Path), ("scene_id" = Uuid, Path)), request_body = Option<RegenerateScene>,
    responses((status = 200, body = RegeneratedScene),
    (status = 409, body = crate::error::Problem, description = "The tasks of the job are still ending"),
    (status = 422, body = crate::error::Problem, description = "The job or the scene has not ended, or it would cost more than allowed")))]
pub async fn regenerate(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath((id, scene_id)): ApiPath<(i64, Uuid)>,
    OptionalJson(body): OptionalJson<Map<String, Value>>,
) -> Result<Json<RegeneratedScene>, ApiError> {
    let (regenerated, _) = regenerate_scene(&state, &caller, id, scene_id, from_object(body)?).await?;
    Ok(Json(regenerated))
}

/// What was done, and what the job costs by that.
pub async fn regenerate_scene(
    state: &AppState,
    caller: &Caller,
    id: i64,
    scene_id: Uuid,
    wish: RegenerateScene,
) -> Result<(RegeneratedScene, Costs), ApiError> {
    let mut invalid = Invalid::default();
    let new = SceneEdit {
        prompt: edit::words("prompt", wish.prompt, LONGEST_PROMPT, &mut invalid),
        description: invalid.optional_text("description", wish.description, LONGEST_DESCRIPTION),
        ..SceneEdit::default()
    };
    invalid.finish()?;
    let mut transaction = state.db.begin().await?;
    let before = edit::open(&mut transaction, id, caller).await?.state;
    let scene = edit::scene_of(&mut transaction, id, scene_id, caller).await?;
    if before == JobState::Pending || !matches!(scene.state.as_str(), "completed" | "failed") {
        let why = format!(
            "scene {scene_id} is {} and its job {before}: only a clip that was made or failed, of a job that has ended, can be made anew",
            scene.state
        );
        return Err(ApiError::unprocessable(Code::NotRegenerable, why)
            .with("job_id", id)
            .with("current_status", before.as_str()));
    }
    let reopening = revisions::regenerate(&mut transaction, id, caller.client, scene_id, &new).await?;
    let Retry { job, bell } =
        go_on(&mut transaction, id, before, reopening, state, caller, wish.dry_run).await?;
    let unknown = || ApiError::not_found("scene", scene_id).with("job_id", id);
    let scene = scenes::get(&mut transaction, scene_id).await?.ok_or_else(unknown)?;
    let message = if wish.dry_run { "nothing was changed" } else { "the scene will be made anew" };
    let regenerated = RegeneratedScene { message, scene: scene.into(), job_id: id, purchase: job };
    let costs = Costs::reread(&mut transaction, id, caller).await?;
    if wish.dry_run {
        return Ok((regenerated, costs));
    }
    within(wish.max_cost_micros, Micros(regenerated.purchase.buys.micros))?;
    commit(transaction).await?;
    state.db.ring(bell).await;
    tracing::info!(job_id = id, scene_id = %scene_id, by = caller.key_id, "a scene is made anew");
    Ok((regenerated, costs))
}
