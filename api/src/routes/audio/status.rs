//! GET /audio/status/{job_id}.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use spool_db::soundtracks::{self, Soundtrack, Stretch};
use spool_job::state::JobState;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::path::ApiPath;
use crate::links::Links;
use crate::state::AppState;

/// What is there of a job's music.
#[derive(Debug, Serialize, ToSchema)]
pub struct AudioStatus {
    pub job_id: i64,
    /// `none`: the job is to have no music; `pending`: it waits for approval or a worker; `processing`; `completed`; `failed`:
    /// there is none, and there will be none.
    pub status: &'static str,
    /// When the last stretch was made.
    pub generated_at: Option<DateTime<Utc>>,
    /// Bytes of the whole soundtrack.
    pub size: Option<i64>,
    /// It lies under the finished video.
    pub merged_with_video: bool,
    pub error: Option<String>,
    /// A signed link to the whole soundtrack.
    pub audio_url: Option<String>,
    /// The stretches, in the order of their scenes.
    pub segments: Vec<AudioSegment>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AudioSegment {
    pub id: Uuid,
    /// The place of its scene, from 0.
    pub index: i32,
    /// Seconds.
    pub duration: Option<f64>,
    /// Bytes.
    pub size: i64,
    /// A signed link to it.
    pub url: String,
}

impl AudioStatus {
    pub fn of(
        job_id: i64,
        music: Soundtrack,
        stretches: Vec<Stretch>,
        links: &Links,
        now: DateTime<Utc>,
    ) -> Self {
        let done = music.state == JobState::Completed;
        let status = word(&music);
        Self {
            job_id,
            status,
            generated_at: music.made_at,
            size: music.whole.as_ref().map(|whole| whole.bytes),
            merged_with_video: done && music.wanted && music.stretches > 0,
            error: music.error.filter(|_| status == "failed"),
            audio_url: music.whole.is_some().then(|| links.audio(job_id, now)),
            segments: stretches.into_iter().map(|stretch| AudioSegment::of(&stretch, links, now)).collect(),
        }
    }
}

impl AudioSegment {
    fn of(stretch: &Stretch, links: &Links, now: DateTime<Utc>) -> Self {
        Self {
            id: stretch.id,
            index: stretch.ordinal,
            duration: stretch.duration_ms.map(|ms| ms as f64 / 1000.0),
            size: stretch.bytes,
            url: links.audio_segment(stretch.id, now),
        }
    }
}

/// Where the music stands, in one word.
pub fn word(music: &Soundtrack) -> &'static str {
    match music.state {
        _ if !music.wanted => "none",
        JobState::Completed if music.stretches > 0 => "completed",
        JobState::Completed | JobState::Failed | JobState::Canceled => "failed",
        JobState::Processing => "processing",
        JobState::Planning | JobState::Pending | JobState::Approved => "pending",
    }
}

/// Says what is there of a job's music.
#[utoipa::path(get, path = "/api/v3/audio/status/{job_id}", operation_id = "show_audio_status", tag = "audio",
    params(("job_id" = i64, Path)), responses((status = 200, body = AudioStatus)))]
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(job_id): ApiPath<i64>,
) -> Result<Json<AudioStatus>, ApiError> {
    let mut conn = state.db.read().await?;
    let music = soundtracks::of_job(&mut conn, job_id, caller.client).await?;
    let music = music.ok_or_else(|| ApiError::not_found("job", job_id).with("job_id", job_id))?;
    let stretches = soundtracks::stretches(&mut conn, job_id).await?;
    Ok(Json(AudioStatus::of(job_id, music, stretches, &state.links, state.clock.now())))
}
