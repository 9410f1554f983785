//! PUT and PATCH /jobs/{id}/scenes/{scene_id}.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use spool_db::storyboard::{self, SceneEdit};
use spool_db::{progress, scenes};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::SceneJson;
use super::edit;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::json::ApiJson;
use crate::extract::path::ApiPath;
use crate::routes::jobs::words::JobStatus;
use crate::state::AppState;
use crate::validation::Invalid;

const LONGEST_TITLE: usize = 255;
pub const LONGEST_PROMPT: usize = 2000;
pub const LONGEST_DESCRIPTION: usize = 5000;

/// New words for a scene; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"prompt": "Slow push-in towards the fireplace", "duration": 4}))]
pub struct UpdateScene {
    #[schema(min_length = 1, max_length = 255)]
    pub title: Option<String>,
    #[schema(max_length = 5000)]
    pub description: Option<String>,
    /// What should be seen. It makes a new version of the scene.
    #[schema(min_length = 1, max_length = 2000)]
    pub prompt: Option<String>,
    /// What should be heard; before music was bought.
    #[schema(min_length = 1, max_length = 2000)]
    pub music_prompt: Option<String>,
    /// Seconds in the video, as the model allows; before music was bought. It makes a new version of the scene.
    pub duration: Option<f64>,
    /// Worked out from what happens: it can only be sent back as it is.
    pub status: Option<String>,
    /// The same.
    #[schema(value_type = Option<String>)]
    pub provider_id: Option<Value>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct UpdatedScene {
    pub message: &'static str,
    pub scene: SceneJson,
    pub job_id: i64,
    /// `pending` where the job has to be approved (again).
    #[schema(value_type = JobStatus)]
    pub job_status: &'static str,
    /// Of the whole job, in dollars, at today's prices.
    pub estimated_cost: f64,
}

/// Changes the words or the length of a scene: before the approval of its job, or after its end. A new prompt or length after the end
/// opens the job as a new revision that must be approved again; titles and descriptions do not.
#[utoipa::path(put, path = "/api/v3/jobs/{id}/scenes/{scene_id}", operation_id = "update_scene", tag = "scenes",
    params(("id" = i64, Path), ("scene_id" = Uuid, Path)), request_body = UpdateScene,
    responses((status = 200, body = UpdatedScene),
    (status = 409, body = crate::error::Problem, description = "The tasks of its job are still ending"),
    (status = 422, body = crate::error::Problem, description = "The job runs (see `current_status`), the scene belongs to another job, or `details`")))]
pub async fn put(
    state: State<AppState>,
    caller: Caller,
    path: ApiPath<(i64, Uuid)>,
    body: ApiJson<UpdateScene>,
) -> Result<Json<UpdatedScene>, ApiError> {
    update(state, caller, path, body).await
}

/// The same as PUT: what is left out stays either way.
#[utoipa::path(patch, path = "/api/v3/jobs/{id}/scenes/{scene_id}", operation_id = "patch_scene", tag = "scenes",
    params(("id" = i64, Path), ("scene_id" = Uuid, Path)), request_body = UpdateScene,
    responses((status = 200, body = UpdatedScene),
    (status = 409, body = crate::error::Problem, description = "The tasks of its job are still ending"),
    (status = 422, body = crate::error::Problem, description = "The job runs (see `current_status`), the scene belongs to another job, or `details`")))]
pub async fn patch(
    state: State<AppState>,
    caller: Caller,
    path: ApiPath<(i64, Uuid)>,
    body: ApiJson<UpdateScene>,
) -> Result<Json<UpdatedScene>, ApiError> {
    update(state, caller, path, body).await
}

async fn update(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath((id, scene_id)): ApiPath<(i64, Uuid)>,
    ApiJson(body): ApiJson<UpdateScene>,
) -> Result<Json<UpdatedScene>, ApiError> {
    let mut invalid = Invalid::default();
    let wish = SceneEdit {
        title: edit::words("title", body.title, LONGEST_TITLE, &mut invalid),
        description: invalid.optional_text("description", body.description, LONGEST_DESCRIPTION),
        prompt: edit::words("prompt", body.prompt, LONGEST_PROMPT, &mut invalid),
        music_prompt: edit::words("music_prompt", body.music_prompt, LONGEST_PROMPT, &mut invalid),
        duration_ms: edit::duration_ms(body.duration, &mut invalid),
    };
    invalid.finish()?;
    let kept = (body.status, body.provider_id.filter(|id| !id.is_null()));
    let mut transaction = state.db.begin().await?;
    let updated = apply(&mut transaction, id, scene_id, wish, kept, "scene_updated", &state, &caller).await?;
    commit(transaction).await?;
    Ok(Json(updated))
}

/// Changes a scene in the caller's transaction. `kept` are a status and a provider id that must be those it has.
#[expect(clippy::too_many_arguments, reason = "the way of all edits, with what each of them needs")]
pub async fn apply(
    conn: &mut PgConnection,
    id: i64,
    scene_id: Uuid,
    wish: SceneEdit,
    kept: (Option<String>, Option<Value>),
    event: &str,
    state: &AppState,
    caller: &Caller,
) -> Result<UpdatedScene, ApiError> {
    let open = edit::open(conn, id, caller).await?;
    let scene = edit::scene_of(conn, id, scene_id, caller).await?;
    let mut invalid = Invalid::default();
    if kept.0.is_some_and(|status| status != scene.state) {
        invalid.add("status", "is worked out from what happens to the scene; it cannot be set");
    }
    if kept.1.is_some_and(|given| given.as_str() != scene.provider_id.as_deref()) {
        invalid.add("provider_id", "comes from the provider; it cannot be set");
    }
    invalid.finish()?;
    let news = edit::only_news(wish, &scene);
    edit::check(&news, &open)?;
    if news != SceneEdit::default() {
        let opens = news.needs_clip() || news.music_prompt.is_some();
        if opens {
            edit::to_pending(conn, id, &open).await?;
        }
        storyboard::edit(conn, scene_id, &news).await?;
        let data = json!({"scene_id": scene_id, "index": scene.index, "by": caller.key_id});
        if opens {
            edit::changed(conn, id, &open.spec, state, event, &data).await?;
        } else {
            progress::refresh(conn, id, event, &data).await?;
        }
    }
    let unknown = || ApiError::not_found("scene", scene_id).with("job_id", id);
    let scene = scenes::get(conn, scene_id).await?.ok_or_else(unknown)?;
    let job = spool_db::jobs::show(conn, id, None).await?.ok_or_else(unknown)?;
    Ok(UpdatedScene {
        message: "the scene is as you say",
        scene: scene.into(),
        job_id: id,
        job_status: job.state.as_str(),
        estimated_cost: job.estimate.total_micros.dollars(),
    })
}
