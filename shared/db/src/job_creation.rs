//! A job comes to be: its name, its row, its scenes and its first event in one statement, for each round trip of a creation counts. What
//! it has become is told without reading it again.

use crate::error::{DbError, Doing};
use crate::jobs::JobRow;
use crate::ledger::JobMoney;
use crate::scenes::SceneRow;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use spool_job::estimate::Estimate;
use spool_job::spec::{JobKind, JobSpec};
use spool_job::state::{JobState, SceneState};
use spool_job::storyboard::{PlannedScene, Storyboard};
use sqlx::PgConnection;
use uuid::Uuid;

/// Where a job with a storyboard stands until somebody approves it.
const FIRST_STAGE: &str = "storyboard_ready";

/// A job to be.
#[derive(Debug)]
pub struct NewJob<'a> {
    /// How it came to be.
    pub kind: JobKind,
    /// Whose photos.
    pub campaign_id: Uuid,
    /// The caller's parameters, as given.
    pub parameters: Value,
    /// What to make.
    pub spec: &'a JobSpec,
    /// Shot by shot.
    pub storyboard: &'a Storyboard,
    /// What it will cost.
    pub estimate: &'a Estimate,
    /// Id of the API key that asked.
    pub created_by: Option<&'a str>,
}

/// A job that has come to be, as a reader would find it.
#[derive(Debug)]
pub struct NewRows {
    /// The job.
    pub job: JobRow,
    /// Its scenes in order.
    pub scenes: Vec<SceneRow>,
}

/// Inserts the job, its scenes and its first event; the video's name counts up per campaign, whose row is locked for it until the end of
/// the transaction: whatever else takes time comes before. `None` when there is no such campaign.
pub async fn create(conn: &mut PgConnection, job: &NewJob<'_>) -> Result<Option<NewRows>, DbError> {
    let board = &job.storyboard.scenes;
    let event = json!({"scenes": board.len(), "estimate_micros": job.estimate.total_micros});
    let ids: Vec<Uuid> = board.iter().map(|_| Uuid::now_v7()).collect();
    let titles: Vec<&str> = board.iter().map(|scene| scene.title.as_str()).collect();
    let descriptions: Vec<&str> = board.iter().map(|scene| scene.description.as_str()).collect();
    let types: Vec<Option<&str>> = board.iter().map(|scene| scene.scene_type.as_deref()).collect();
    let prompts: Vec<&str> = board.iter().map(|scene| scene.prompt.as_str()).collect();
    let music: Vec<&str> = board.iter().map(|scene| scene.music_prompt.as_str()).collect();
    let lengths: Vec<i32> = board.iter().map(|scene| scene.duration_ms as i32).collect();
    let first: Vec<Uuid> = board.iter().map(|scene| scene.first_asset_id).collect();
    let last: Vec<Option<Uuid>> = board.iter().map(|scene| scene.last_asset_id).collect();
    let made = sqlx::query!(
        r#"WITH named AS (
             UPDATE campaigns SET videos_named = videos_named + 1 WHERE id = $1 RETURNING id, client_id, name, videos_named
         ), job AS (
             INSERT INTO jobs (type, state, client_id, campaign_id, video_name, parameters, spec, estimate, estimate_micros, stage, created_by)
             SELECT $2, 'pending', client_id, id, name || ' ' || videos_named, $3, $4, $5, $6, $18, $7 FROM named
             RETURNING id, client_id, video_name, inserted_at
         ), board AS (
             INSERT INTO scenes (id, job_id, index, title, description, scene_type, prompt, music_prompt, duration_ms, first_asset_id,
                                 last_asset_id, state)
             SELECT s.id, job.id, s.ordinality - 1, s.title, s.description, s.scene_type, s.prompt, s.music_prompt, s.duration_ms,
                    s.first_asset_id, s.last_asset_id, 'pending'
             FROM job, unnest($8::uuid[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::integer[], $15::uuid[],
                              $16::uuid[])
                  WITH ORDINALITY AS s (id, title, description, scene_type, prompt, music_prompt, duration_ms, first_asset_id, last_asset_id,
                                        ordinality)
         ), event AS (
             INSERT INTO job_events (job_id, seq, type, data) SELECT id, 1, 'created', $17 FROM job
         )
         SELECT id AS "id!", client_id, video_name AS "video_name!", inserted_at AS "inserted_at!" FROM job"#,
        job.campaign_id,
        job.kind.as_str(),
        job.parameters,
        json!(job.spec),
        json!(job.estimate),
        job.estimate.total_micros.0,
        job.created_by,
        &ids,
        &titles as &[&str],
        &descriptions as &[&str],
        &types as &[Option<&str>],
        &prompts as &[&str],
        &music as &[&str],
        &lengths,
        &first,
        &last as &[Option<Uuid>],
        event,
        FIRST_STAGE,
    )
    .fetch_optional(conn)
    .await
    .doing("create the job")?;
    Ok(made.map(|row| {
        let made =
            Made { id: row.id, client_id: row.client_id, video_name: row.video_name, at: row.inserted_at };
        NewRows { scenes: made.scenes(&ids, job.storyboard), job: made.job(job) }
    }))
}

/// What only the database could say.
struct Made {
    id: i64,
    client_id: Option<Uuid>,
    video_name: String,
    at: DateTime<Utc>,
}

impl Made {
    fn scenes(&self, ids: &[Uuid], storyboard: &Storyboard) -> Vec<SceneRow> {
        let scene = |(index, (id, scene)): (usize, (&Uuid, &PlannedScene))| SceneRow {
            id: *id,
            job_id: self.id,
            index: index as i32,
            version: 1,
            title: scene.title.clone(),
            description: scene.description.clone(),
            scene_type: scene.scene_type.clone(),
            prompt: scene.prompt.clone(),
            music_prompt: scene.music_prompt.clone(),
            duration_ms: scene.duration_ms as i32,
            first_asset_id: scene.first_asset_id,
            last_asset_id: scene.last_asset_id,
            state: SceneState::Pending.as_str().to_owned(),
            clip_digest: None,
            clip_bytes: None,
            error: None,
            fresh: false,
            provider_id: None,
            reused_from: None,
            inserted_at: self.at,
            updated_at: self.at,
        };
        ids.iter().zip(&storyboard.scenes).enumerate().map(scene).collect()
    }

    fn job(self, new: &NewJob<'_>) -> JobRow {
        JobRow {
            id: self.id,
            kind: new.kind.as_str().to_owned(),
            state: JobState::Pending,
            revision: 1,
            version: 1,
            client_id: self.client_id,
            campaign_id: Some(new.campaign_id),
            video_name: self.video_name,
            parameters: new.parameters.clone(),
            spec: new.spec.clone(),
            estimate: new.estimate.clone(),
            money: JobMoney::default(),
            progress_percent: 0,
            stage: FIRST_STAGE.to_owned(),
            parked: None,
            parked_why: None,
            parked_until: None,
            partial: false,
            error_code: None,
            error: None,
            clips_digest: None,
            video_digest: None,
            thumbnail_digest: None,
            inserted_at: self.at,
            updated_at: self.at,
            approved_at: None,
            finished_at: None,
        }
    }
}
