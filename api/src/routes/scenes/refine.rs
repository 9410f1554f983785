//! POST /jobs/{id}/refine: an edit of one scene by its number, a few times per job.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use spool_db::storyboard::SceneEdit;
use spool_db::{events, scenes};
use utoipa::ToSchema;
use uuid::Uuid;

use super::edit;
use super::update::{LONGEST_DESCRIPTION, LONGEST_PROMPT, UpdatedScene, apply};
use crate::caller::Caller;
use crate::database::commit;
use crate::error::{ApiError, Code};
use crate::extract::json::ApiJson;
use crate::extract::path::ApiPath;
use crate::state::AppState;
use crate::validation::Invalid;

/// Refinements of one job. Edits of scenes are not counted.
const MOST: i64 = 5;
const EVENT: &str = "scene_refined";

/// Which scene, and what it should be instead.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"scene_number": 2, "prompt": "The same room at dusk, lamps lit"}))]
pub struct RefineScene {
    /// Counted from 1; or name it by `scene_id`.
    pub scene_number: Option<i64>,
    pub scene_id: Option<Uuid>,
    #[schema(min_length = 1, max_length = 2000)]
    pub prompt: Option<String>,
    /// The same under its older name.
    pub new_image_prompt: Option<String>,
    #[schema(max_length = 5000)]
    pub description: Option<String>,
    /// The same under its older name.
    pub new_description: Option<String>,
}

/// Changes prompt or description of a scene, five times per job at most. A new prompt after the end of the job opens it as a new
/// revision that must be approved again.
#[utoipa::path(post, path = "/api/v3/jobs/{id}/refine", operation_id = "refine_job", tag = "scenes",
    params(("id" = i64, Path)), request_body = RefineScene, responses((status = 200, body = UpdatedScene),
    (status = 409, body = crate::error::Problem, description = "The tasks of the job are still ending"),
    (status = 429, body = crate::error::Problem, description = "The job was refined five times")))]
pub async fn refine(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<i64>,
    ApiJson(body): ApiJson<RefineScene>,
) -> Result<Json<UpdatedScene>, ApiError> {
    let mut invalid = Invalid::default();
    let prompt = body.prompt.or(body.new_image_prompt);
    let description = body.description.or(body.new_description);
    if prompt.is_none() && description.is_none() {
        invalid.add("prompt", "can't be blank unless there is a description");
    }
    if body.scene_id.is_none() && body.scene_number.is_none() {
        invalid.add("scene_number", "can't be blank unless there is a scene_id");
    }
    let wish = SceneEdit {
        prompt: edit::words("prompt", prompt, LONGEST_PROMPT, &mut invalid),
        description: invalid.optional_text("description", description, LONGEST_DESCRIPTION),
        ..SceneEdit::default()
    };
    invalid.finish()?;
    let mut transaction = state.db.begin().await?;
    // The lock first: of two refinements at once one is the last.
    edit::open(&mut transaction, id, &caller).await?;
    if events::count(&mut transaction, id, EVENT).await? >= MOST {
        let why = format!("job {id} was refined {MOST} times: edit its scenes, or duplicate it");
        return Err(
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, Code::TooManyRefinements, why).with("job_id", id)
        );
    }
    let scene = if let Some(scene) = body.scene_id {
        scene
    } else {
        let board = scenes::list(&mut transaction, id).await?;
        let number = body.scene_number.unwrap_or_default();
        let found = board.iter().find(|scene| i64::from(scene.index) + 1 == number);
        let why = || Invalid::only("scene_number", format!("must be between 1 and {}", board.len()));
        found.ok_or_else(why)?.id
    };
    let refined = apply(&mut transaction, id, scene, wish, (None, None), EVENT, &state, &caller).await?;
    commit(transaction).await?;
    Ok(Json(refined))
}
