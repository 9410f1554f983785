//! POST /audio/generate-scenes.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use spool_db::soundtracks::{self, Adding, Wish};
use spool_db::{learned, scenes};
use spool_job::estimate;
use spool_job::spec::{JobSpec, MAX_FADE_MS, OnMusicFailure};
use spool_job::tasks::group_key;
use spool_queue::{Bell, inspect};
use sqlx::PgConnection;
use utoipa::ToSchema;

use super::status::word;
use crate::approval;
use crate::audit;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::{ApiError, Code};
use crate::extract::casing;
use crate::extract::json::{ApiJson, from_object};
use crate::state::AppState;
use crate::validation::Invalid;

/// Seconds that a stretch of music usually takes.
const USUAL_SECONDS: i64 = 10;
/// Longest description of the music, in characters.
const LONGEST_PROMPT: usize = 2_000;
/// In seconds.
const LONGEST_FADE: f64 = MAX_FADE_MS as f64 / 1000.0;

/// Which job is to have music.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"job_id": 17, "audio_params": {"prompt": "calm piano", "error_strategy": "continue_with_silence"}}))]
pub struct GenerateAudio {
    pub job_id: i64,
    #[serde(default)]
    pub audio_params: AudioParams,
}

/// How the music is to be.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct AudioParams {
    /// What the music should sound like; otherwise the storyboard says.
    #[schema(max_length = 2000)]
    pub prompt: Option<String>,
    /// `continue_with_silence` or `halt`.
    #[schema(value_type = Option<String>, pattern = "^(continue_with_silence|halt)$")]
    pub error_strategy: Option<OnMusicFailure>,
    /// Seconds for which it fades in and out, 0 to 10, 1.5 when left out.
    #[schema(minimum = 0, maximum = 10)]
    pub fade_duration: Option<f64>,
    /// `trim`: each stretch is cut to its scene. Nothing else is done: the pace of music is not changed.
    #[schema(pattern = "^trim$")]
    pub sync_mode: Option<String>,
    /// What older callers send. The music lies under the video whatever it is, and by itself at `GET /audio/{job_id}/download`.
    pub merge_with_video: Option<bool>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AcceptedAudio {
    pub job_id: i64,
    /// Where the music stands, as `GET /audio/status/{job_id}` says.
    pub status: &'static str,
    pub message: &'static str,
    pub audio_status: AudioProgress,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AudioProgress {
    pub started_at: DateTime<Utc>,
    /// Seconds that are still needed, roughly.
    pub estimated_duration: i64,
}

/// Gives a job music. A job that is to have music anyway is left as it is: asking twice buys nothing twice. One that waits for its
/// approval is priced anew; one that was completed without music is made again as a new revision, for which only music is bought.
#[utoipa::path(post, path = "/api/v3/audio/generate-scenes", operation_id = "generate_audio", tag = "audio",
    request_body = GenerateAudio, responses((status = 202, body = AcceptedAudio),
    (status = 404, body = crate::error::Problem, description = "There is no such job, or it is not yours"),
    (status = 409, body = crate::error::Problem, description = "Its last tasks are still ending; try again in a moment"),
    (status = 422, body = crate::error::Problem, description = "It has no storyboard, or cannot get music in its state")))]
pub async fn create(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(body): ApiJson<Map<String, Value>>,
) -> Result<(StatusCode, Json<AcceptedAudio>), ApiError> {
    let (id, wish) = parse(body)?;
    let unknown = || ApiError::not_found("job", id).with("job_id", id);
    let mut transaction = state.db.begin().await?;
    let (message, bell) = match soundtracks::add(&mut transaction, id, caller.client, &wish).await? {
        Adding::There => ("the job has music, or will have it; nothing was changed", None),
        Adding::Planned(spec) => {
            price(&mut transaction, id, &spec, &state).await?;
            ("the job will have music once it is approved", Some(Bell::silent()))
        }
        Adding::Reopened(reopened) => {
            let tasks = inspect::tasks_of_group(&mut transaction, &group_key(id)).await;
            if tasks.map_err(ApiError::internal)?.iter().any(|task| !task.state.is_final()) {
                let why = format!("the last tasks of job {id} are still ending; try again in a moment");
                return Err(ApiError::conflict(Code::AlreadyRunning, why).with("job_id", id));
            }
            price(&mut transaction, id, &reopened.spec, &state).await?;
            let bell = approval::enqueue(&mut transaction, id, reopened).await?;
            ("music is being made; the video is put together again with it", Some(bell))
        }
        Adding::NoStoryboard => return Err(refused(id, "it has no storyboard")),
        Adding::Partial => {
            return Err(refused(id, "it was made without some of its scenes; make those again first"));
        }
        Adding::Refused(at) => {
            let why = format!("it is {at} and was to have no music");
            return Err(refused(id, &why).with("current_status", at.as_str()));
        }
        Adding::Unknown => return Err(unknown()),
    };
    let music = soundtracks::of_job(&mut transaction, id, caller.client).await?.ok_or_else(unknown)?;
    if let Some(bell) = bell {
        audit::about("job", id);
        commit(transaction).await?;
        state.db.ring(bell).await;
        // The path names no job: whoever looks next sees what changed.
        state.feed.heard(id);
        tracing::info!(job_id = id, by = caller.key_id, "a job gets music");
    }
    let estimated_duration = (music.scenes - music.stretches).max(0) * USUAL_SECONDS;
    let audio_status = AudioProgress { started_at: state.clock.now(), estimated_duration };
    let answer = AcceptedAudio { job_id: id, status: word(&music), message, audio_status };
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

fn parse(mut body: Map<String, Value>) -> Result<(i64, Wish), ApiError> {
    if body.get("job_id").is_none_or(Value::is_null) {
        return Err(ApiError::bad_request(Code::MissingParameter, "job_id is missing"));
    }
    if let Some(Value::Object(params)) = body.get_mut("audio_params") {
        *params = casing::snake_keys(std::mem::take(params));
    }
    let GenerateAudio { job_id, audio_params } = from_object(body)?;
    let mut invalid = Invalid::default();
    let wish = Wish {
        prompt: invalid
            .optional_text("audio_params.prompt", audio_params.prompt, LONGEST_PROMPT)
            .filter(|prompt| !prompt.trim().is_empty()),
        on_failure: audio_params.error_strategy,
        fade_ms: audio_params.fade_duration.map(|seconds| (seconds * 1000.0).round() as u32),
    };
    if audio_params.fade_duration.is_some_and(|seconds| !(0.0..=LONGEST_FADE).contains(&seconds)) {
        invalid.add("audio_params.fade_duration", format!("must be 0 to {LONGEST_FADE} seconds"));
    }
    if audio_params.sync_mode.is_some_and(|mode| mode != "trim") {
        invalid.add("audio_params.sync_mode", "must be trim: each stretch is cut to its scene");
    }
    invalid.finish()?;
    Ok((job_id, wish))
}

/// The whole job's price with music, at today's list prices.
async fn price(conn: &mut PgConnection, id: i64, spec: &JobSpec, state: &AppState) -> Result<(), ApiError> {
    let storyboard = scenes::list(conn, id).await?;
    let lengths: Vec<u32> = storyboard.iter().map(|scene| scene.duration_ms.unsigned_abs()).collect();
    let learned = learned::all(conn).await?;
    let estimate = estimate::parts(spec, &lengths, &lengths, state.clock.now().date_naive())
        .map_err(|error| refused(id, &error.to_string()))?
        .with_learned(|model, unit| learned.p95_permille(model, unit));
    Ok(soundtracks::price_anew(conn, id, &estimate).await?)
}

fn refused(id: i64, why: &str) -> ApiError {
    ApiError::unprocessable(Code::NotRetryable, format!("job {id} cannot get music: {why}"))
        .with("job_id", id)
}
