//! A job comes to be: its name, its row, its scenes and its first event in one statement, for each round trip of a creation counts.

use crate::error::{DbError, Doing};
use serde_json::{Value, json};
use spool_job::estimate::Estimate;
use spool_job::spec::{JobKind, JobSpec};
use spool_job::storyboard::Storyboard;
use sqlx::PgConnection;
use uuid::Uuid;

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

/// Inserts the job, its scenes and its first event; the video's name counts up per campaign.
/// `None` when there is no such campaign.
pub async fn create(conn: &mut PgConnection, job: &NewJob<'_>) -> Result<Option<i64>, DbError> {
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
    sqlx::query_scalar!(
        "WITH named AS (
             UPDATE campaigns SET videos_named = videos_named + 1 WHERE id = $1 RETURNING id, client_id, name, videos_named
         ), job AS (
             INSERT INTO jobs (type, state, client_id, campaign_id, video_name, parameters, spec, estimate, estimate_micros, stage, created_by)
             SELECT $2, 'pending', client_id, id, name || ' ' || videos_named, $3, $4, $5, $6, 'storyboard_ready', $7 FROM named
             RETURNING id
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
         SELECT id FROM job",
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
    )
    .fetch_optional(conn)
    .await
    .doing("create the job")
}
